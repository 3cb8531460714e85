"""Pair lists as people have them: CSV with a header `source,driving[,frame]` and paths of another machine.

A path is matched to a data root by its trailing parts (`<split>/<video>/<frame>`), the longest that exist. Where the
root has a video file in the place of a folder of frames, the frame's name is its number in the video. A row of two
whole videos (`frame`: that of the source, 0 if empty) stands for the source frame driven by the whole driving video.
Lists of ours add `source_sha256,driving_sha256` (see `frame_sha256`).
"""

import csv
import hashlib
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from dagan.data.clips import Clip, frame_files, identity_of
from dagan.data.decoding import VIDEO_SUFFIXES
from dagan.data.protocols import Frame, ReenactmentPair, chosen_frames, frame_sha256
from dagan.errors import UserError
from dagan.files import written_whole

LONGEST_MATCH = 6  # parts of a path that are looked for below the root
COLUMNS = ("source", "driving", "frame", "source_sha256", "driving_sha256")
_IMAGE_NAME = re.compile(r"\.(png|jpe?g)$", re.IGNORECASE)
MOST_DIGITS = 9  # of a frame's number: 463 days at 25 frames/s
_FRAME_NUMBER = re.compile(rf"[0-9]{{1,{MOST_DIGITS}}}")
DIGITS = 7  # in names of frames, as VoxCeleb's folders have them


class ListedPair(NamedTuple):
    """A row of a list: a source frame, and the frame or the whole clip that drives it."""

    key: str
    source: Frame
    driving: Frame | Clip


class MissingRow(NamedTuple):
    """A row whose files are not below the data root."""

    row: int
    path: str


class PairList(NamedTuple):
    """A list matched to a data root. Keys are the rows' numbers, six digits from 000000."""

    name: str
    sha256: str
    pairs: tuple[ListedPair, ...]
    missing: tuple[MissingRow, ...]

    @property
    def is_same_clip(self) -> bool:
        """Whether every row is of one clip, so that the driving frame is the truth."""
        drivings = [driving if isinstance(driving, Clip) else driving.clip for _, _, driving in self.pairs]
        return all(pair.source.clip == driving for pair, driving in zip(self.pairs, drivings, strict=True))


def read_pair_list(file: str | Path, root: str | Path, limit: int | None = None) -> PairList:
    """The pairs of a list whose frames are below `root`; the others are named in `missing`.

    Raises:
        UserError: no such file or folder, not such a list, or not one row is found.
    """
    file, root = Path(file), Path(root)
    if not root.is_dir():
        raise UserError(f"no such folder of data: {root}")
    rows = _rows(file)[:limit]
    find = _Finder(root)
    pairs: list[ListedPair] = []
    missing: list[MissingRow] = []
    for number, row in enumerate(rows):
        places = {side: find(row[side]) for side in ("source", "driving")}
        lost = next((row[side] for side, place in places.items() if place is None), None)
        source, driving = places["source"], places["driving"]
        if lost is not None or source is None or driving is None:
            missing.append(MissingRow(number, lost or ""))
        else:
            pairs.append(_pair(f"{number:06}", source, driving, row))
    if not pairs:
        first = f"; the first wants .../{_shown(missing[0].path)}" if missing else ""
        raise UserError(f"none of the {len(rows)} pairs of {file} is in {root}{first}")
    return PairList(file.name, hashlib.sha256(file.read_bytes()).hexdigest(), tuple(pairs), tuple(missing))


class _Place(NamedTuple):
    """A clip, and the frame in it that was named (None: the whole clip)."""

    clip: Clip
    number: int | None


def _rows(file: Path) -> list[dict[str, str]]:
    if not file.is_file():
        raise UserError(f"no such pair list: {file}")
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, restval="")
            if not {"source", "driving"} <= set(reader.fieldnames or ()):
                raise UserError(f"{file} is no pair list: its first line must name the columns source,driving")
            rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file} is no pair list: not CSV text ({error})") from error
    empty = next((number for number, row in enumerate(rows) if not row["source"] or not row["driving"]), None)
    if empty is not None:
        raise UserError(f"{file}: row {empty + 1} has no source or no driving frame")
    return rows


def _pair(key: str, source: _Place, driving: _Place, row: dict[str, str]) -> ListedPair:
    if driving.number is None:
        text = row.get("frame") or "0"
        first = source.number if source.number is not None else _whole(text)
        return ListedPair(key, Frame(source.clip, first), driving.clip)
    first = source.number if source.number is not None else 0
    return ListedPair(
        key,
        Frame(source.clip, first, row.get("source_sha256") or None),
        Frame(driving.clip, driving.number, row.get("driving_sha256") or None),
    )


def _shown(path: str) -> str:
    """The end of a path, in one line."""
    return " ".join("/".join(_parts(path)[-3:]).split())


def _whole(text: str) -> int:
    try:
        number = int(float(text))
    except (ValueError, OverflowError):
        number = -1
    if not 0 <= number < 10**MOST_DIGITS:
        shown = textwrap.shorten(text, 40, placeholder=" ...")
        raise UserError(f"the frame of a pair list is {shown!r}; expected a number from 0 to {10**MOST_DIGITS - 1}")
    return number


class _Finder:
    """Finds named frames and clips below a root. Folders are listed once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._numbers: Callable[[Path], dict[str, int]] = cache(_numbers)
        self._clip_at: Callable[[Path], Path | None] = cache(self._with_suffix)

    def __call__(self, text: str) -> _Place | None:
        """The longest trailing part of the path that is there."""
        try:
            return self._longest(_parts(text))
        except (OSError, ValueError):  # a name that no file can have: too long, or with a null byte
            return None

    def _longest(self, parts: Sequence[str]) -> _Place | None:
        for length in range(min(len(parts), LONGEST_MATCH), 0, -1):
            tail = parts[-length:]
            if (place := self._clip(tail) or self._frame(tail)) is not None:
                return place
        return None

    def _clip(self, tail: Sequence[str]) -> _Place | None:
        """A whole clip: a video, or a folder of frames."""
        if _IMAGE_NAME.search(tail[-1]):
            return None
        path = self._clip_at(self._root.joinpath(*tail))
        return _Place(self._as_clip(path), None) if path is not None else None

    def _frame(self, tail: Sequence[str]) -> _Place | None:
        """A frame in a folder, whatever its suffix; or of a video that is named like the folder."""
        stem = _IMAGE_NAME.sub("", tail[-1])
        is_number = _FRAME_NUMBER.fullmatch(stem) is not None
        if len(tail) < 2 and (is_number or tail[-1] == stem):
            return None  # a bare number is a frame of any folder
        clip = self._clip_at(self._root.joinpath(*tail[:-1]))
        if clip is None:
            return None
        number = self._numbers(clip).get(stem) if clip.is_dir() else int(stem) if is_number else None
        return _Place(self._as_clip(clip), number) if number is not None else None

    def _with_suffix(self, path: Path) -> Path | None:
        """A video of this name, with or without its suffix; or a folder that holds frames."""
        if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
            return path
        if path.is_dir():
            return path if self._numbers(path) else None
        candidates = (path.with_name(path.name + suffix) for suffix in sorted(VIDEO_SUFFIXES))
        return next((candidate for candidate in candidates if candidate.is_file()), None)

    def _as_clip(self, path: Path) -> Clip:
        relative = path.relative_to(self._root)
        stem = relative.stem if path.suffix.lower() in VIDEO_SUFFIXES else relative.name
        name = (relative.parent / stem).as_posix()
        person = relative.parent.name if stem.lower() in {"image", "images", "frames"} else stem  # CelebV
        return Clip(path, identity_of(person), name)


def _numbers(folder: Path) -> dict[str, int]:
    """The place of every frame by the stem of its name."""
    return {re.sub(r"\.[^.]*$", "", file.name): number for number, file in enumerate(frame_files(folder))}


def _parts(text: str) -> list[str]:
    """The parts of a path of any system; none leads out of the root."""
    return [part for part in re.split(r"[/\\]", text.strip()) if part not in {"", ".", ".."} and ":" not in part]


def write_pair_list(file: Path, root: Path, pairs: Iterable[ReenactmentPair]) -> int:
    """Writes pairs of clips below `root` with the hashes of their frames, atomically; returns their number.

    Raises:
        UserError: a frame cannot be read.
    """
    listed = list(pairs)
    hashes = frame_hashes([frame for pair in listed for frame in (pair.source, pair.driving)])
    with written_whole(file) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for _, source, driving, _ in listed:
            sums = [hashes[str(frame.clip.path), frame.number] for frame in (source, driving)]
            writer.writerow([_frame_path(source, root), _frame_path(driving, root), "", *sums])
    return len(listed)


def frame_hashes(frames: Iterable[Frame]) -> dict[tuple[str, int], str]:
    """The sha256 of every frame by its clip's path and its number; each clip is read once."""
    wanted: dict[Clip, set[int]] = {}
    for frame in frames:
        wanted.setdefault(frame.clip, set()).add(frame.number)
    return {
        (str(clip.path), number): frame_sha256(pixels)
        for clip, numbers in wanted.items()
        for number, pixels in chosen_frames(clip, numbers)
    }


def _frame_path(frame: Frame, root: Path) -> str:
    """`<clip>/<frame>.png`: the frame's own name in a folder, its number in a video."""
    path = frame.clip.path.relative_to(root)
    if frame.clip.path.is_dir():
        return (path / frame_files(frame.clip.path)[frame.number].name).as_posix()
    return (path / f"{frame.number:0{DIGITS}}.png").as_posix()
