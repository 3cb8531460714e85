"""Face clips: what is in a folder, whose they are, and their frames as whatever gives them by number."""

import hashlib
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dagan.data.decoding import VIDEO_SUFFIXES, DecodeReport, read_frames
from dagan.data.pictures import IMAGE_SUFFIXES, read_image
from dagan.errors import UserError

MIN_FRAMES = 2  # a source and a driving frame
PROGRESS_DELAY = 2.0  # seconds before a bar appears: what is known already opens silently
MAX_NAMED = 12  # clips that a line on stderr names


@dataclass(frozen=True)
class Clip:
    """One video file or one folder of frames, of one person. `name` is unique below its root."""

    path: Path
    identity: str
    name: str


@runtime_checkable
class FrameArray(Protocol):
    """Frames by number, as an array `t h w 3` gives them: `frames[3]` is `h w 3`, `frames[[3, 5]]` is `2 h w 3`."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: Any, /) -> Any: ...


@dataclass(frozen=True, eq=False)
class ClipFrames:
    """A clip with its frames, in memory or read when asked for; it opens no file before, and keeps none open."""

    frames: FrameArray
    clip: Clip

    def __len__(self) -> int:
        return len(self.frames)


class StoredFrames:
    """Frames that are read when asked for: what `FrameArray` says, from `read`. All are `size` x `size`."""

    size: int

    def __len__(self) -> int:
        raise NotImplementedError

    def read(self, numbers: Sequence[int]) -> list[UInt8[np.ndarray, "_h _w 3"]]:
        """The frames with these numbers, in this order, of any size."""
        raise NotImplementedError

    def __getitem__(self, index: int | Sequence[int]) -> UInt8[np.ndarray, "*n size size 3"]:
        """One frame, or several at once, which reads each file once. Raises IndexError past the end."""
        numbers = [index] if isinstance(index, int | np.integer) else list(index)
        for number in numbers:
            if not 0 <= number < len(self):
                raise IndexError(f"frame {number} of {len(self)}")
        frames = np.stack([fit_square(frame, self.size) for frame in self.read(numbers)])  # n size size 3
        return frames[0] if isinstance(index, int | np.integer) else frames


def identity_of(stem: str) -> str:
    """The person's name: what stands before the first `#` (VoxCeleb) or `__` (ours), else the whole stem."""
    return re.split("#|__", stem, maxsplit=1)[0] or stem


def find_clips(root: str | Path) -> list[Clip]:
    """Clips in a folder and in its direct subfolders: video files, and folders that hold png or jpg frames.

    Raises:
        UserError: no such folder, or nothing in it.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"no such folder of clips: {root}")
    paths = [clip for entry in _visible(root) for clip in _clips_at(entry)]
    if not paths:
        suffixes = " ".join(sorted(VIDEO_SUFFIXES))
        raise UserError(f"no clips in {root}: expected videos ({suffixes}) or folders of png or jpg frames")
    return [Clip(path, identity_of(_stem(path)), _name(path, root)) for path in paths]


def _clips_at(entry: Path) -> list[Path]:
    if not entry.is_dir():
        return [entry] if _is_video(entry) else []
    if _holds_frames(entry):
        return [entry]
    return [inner for inner in _visible(entry) if _is_video(inner) or (inner.is_dir() and _holds_frames(inner))]


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _is_video(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES


def _holds_frames(folder: Path) -> bool:
    return any(path.suffix.lower() in IMAGE_SUFFIXES for path in _visible(folder))


def _stem(path: Path) -> str:
    return path.stem if path.suffix.lower() in VIDEO_SUFFIXES else path.name  # VoxCeleb folders end in ".mp4"


def _name(path: Path, root: Path) -> str:
    return (path.parent.relative_to(root) / _stem(path)).as_posix()


def frame_files(folder: Path) -> Sequence[Path]:
    """Frames in the order of the numbers in their names: 2.png before 10.png."""
    files = [path for path in _visible(folder) if path.suffix.lower() in IMAGE_SUFFIXES]
    return sorted(files, key=lambda path: [(int(n or 0), s) for n, s in re.findall(r"(\d*)(\D*)", path.stem)])


def read_clip(clip: Clip, report: DecodeReport | None = None) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """A clip's frames one by one as they are on disk, whichever kind it is; `report` as in `read_frames`."""
    return read_folder(clip.path) if clip.path.is_dir() else read_frames(clip.path, report)


def read_folder(folder: Path) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The pictures of a folder. Raises UserError for one that cannot be read, or of another size than the first."""
    first: tuple[int, ...] = ()
    for file in frame_files(folder):
        frame = read_image(file)
        first = first or frame.shape
        if frame.shape != first:
            raise mixed_sizes(first[1::-1], frame.shape[1::-1], file.name)
        yield frame


def mixed_sizes(first: tuple[int, ...], other: tuple[int, ...], name: str) -> UserError:
    """The error of a clip whose frames are not of one size (width, height)."""
    return UserError(f"frames of different sizes: {first[0]}x{first[1]}, but {name} is {other[0]}x{other[1]}")


def settle(
    root: str | Path,
    opened: Sequence[ClipFrames],
    problems: Sequence[str],
    notes: Sequence[str] = (),
    what: str = "clips",
) -> None:
    """Says on stderr, in one line each, which clips are skipped (`problems`) and which are damaged (`notes`).

    Raises:
        UserError: no clip can be used.
    """
    total = len(opened) + len(problems)
    if problems:
        print(f"skipped {len(problems)} of {total} {what}: {shortened(problems)}", file=sys.stderr)
    if notes:
        print(f"{len(notes)} of {total} clips are damaged; what decodes is used: {shortened(notes)}", file=sys.stderr)
    if not opened:
        raise UserError(f"none of the {total} {what} in {root} can be used; see the line above")


def shortened(entries: Sequence[str]) -> str:
    """The first few of a list, and how many more there are."""
    more = len(entries) - MAX_NAMED
    return "; ".join(entries[:MAX_NAMED]) + (f"; and {more} more" if more > 0 else "")


def fit_square(frame: UInt8[np.ndarray, "h w 3"], size: int) -> UInt8[np.ndarray, "size size 3"]:
    """The central square at `size` pixels: averaged over areas when it shrinks, bicubic when it grows."""
    height, width = frame.shape[:2]
    if (height, width) == (size, size):
        return frame
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    image = Image.fromarray(np.ascontiguousarray(frame[top : top + side, left : left + side]))
    resample = Image.Resampling.BOX if side >= size else Image.Resampling.BICUBIC
    return np.asarray(image.resize((size, size), resample))


def lot(name: str) -> float:
    """A number in [0, 1) that belongs to a name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / 2**64
