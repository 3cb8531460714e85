"""Lists that data sets are published as: who is in which video, when and where. Nothing is downloaded."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from dagan.data.decoding import open_video
from dagan.data.timing import frame_rate
from dagan.errors import UserError
from dagan.preparation.units import Unit, Wanted

VOXCELEB_RATE = 25.0  # frames per second in which VoxCeleb's txt files count
WIDER = 1.6  # VoxCeleb's txt boxes hold the face alone: the crop is so many times as large


class Entry(NamedTuple):
    """One line of a list: the raw video's name without its ending, and what is wanted of it.

    `in_frames`: start and end are frame numbers of the raw video; `in_pixels`: the box is in pixels of a picture of
    this width and height, (0, 0) for those of the raw video.
    """

    video: str
    wanted: Wanted
    in_frames: bool = False
    in_pixels: tuple[int, int] | None = None


def read_list(path: Path) -> list[Entry]:
    """Every entry of a list, whichever of the known kinds it is.

    Raises:
        UserError: no such list, none of the kinds, or a line that cannot be read.
    """
    if path.is_dir():
        files = sorted(path.rglob("*.txt"))
        if not files:
            raise UserError(f"no txt files in {path}: expected VoxCeleb's, one for each utterance")
        return [_voxceleb_txt(file) for file in files]
    if not path.is_file():
        raise UserError(f"no such list: {path}")
    for read in (_celebv_hq, _voxceleb_csv, _hdtf, _talking_head):
        try:
            entries = read(path)
        except (ArithmeticError, KeyError, TypeError, ValueError, IndexError) as error:
            raise UserError(f"{path} cannot be read as {read.__name__.strip('_')}: {error!r}") from error
        if entries is not None:
            return entries
    raise UserError(
        f"{path} is no list that is known: expected VoxCeleb (folder of txt, or csv with video_id, start, end, bbox), "
        "CelebV-HQ (json), TalkingHead-1KH (txt of nine columns) or HDTF (annotion_time.txt)"
    )


def _voxceleb_txt(path: Path) -> Entry:
    """VoxCeleb 1 and 2: a head of `Identity`, `Reference`, then frame, x, y, w, h (shares of the picture) a line."""
    head: dict[str, str] = {}
    frames: list[list[float]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        name, found, value = line.partition(":")
        if found:
            head[name.strip()] = value.split()[0] if value.split() else ""
        elif re.match(r"\s*\d", line):
            frames.append([float(number) for number in line.split()[:5]])
    if not frames or "Reference" not in head:
        raise UserError(f"{path} is no VoxCeleb file: expected Identity, Reference and lines of FRAME X Y W H")
    x, y = (min(frame[place] for frame in frames) for place in (1, 2))
    right, bottom = (max(frame[place] + frame[place + 2] for frame in frames) for place in (1, 2))
    person, video = head.get("Identity", ""), head["Reference"]
    start, end = frames[0][0] / VOXCELEB_RATE, (frames[-1][0] + 1) / VOXCELEB_RATE
    name = f"{person}_{video}_{path.stem}"
    return Entry(video, Wanted(_harmless(name), person, start, end, _wider((x, y, right - x, bottom - y))))


def _wider(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    x, y, width, height = box
    return (x - width * (WIDER - 1) / 2, y - height * (WIDER - 1) / 2, width * WIDER, height * WIDER)


def _voxceleb_csv(path: Path) -> list[Entry] | None:
    """The csv that training sets are made of: video_id (or id), start and end in frames of `fps` (or seconds), bbox
    left-top-right-bottom, perhaps person_id, width, height and partition."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        columns = set(rows.fieldnames or ())
        if not {"start", "end", "bbox"} <= columns or not columns & {"video_id", "id"}:
            return None
        return [_csv_entry(row) for row in rows]


def _csv_entry(row: dict[str, str]) -> Entry:
    person, _, video = str(row.get("video_id") or row["id"]).rpartition("#")
    person = row.get("person_id") or person
    left, top, right, bottom = (float(number) for number in re.split(r"[-,\s]+", row["bbox"].strip("[]() ")))
    rate = float(row.get("fps") or 0)
    start, end = (float(row[name]) / (rate or 1) for name in ("start", "end"))
    size = (int(float(row.get("width") or 0)), int(float(row.get("height") or 0)))
    name = _harmless(f"{person}_{video}_{row['start']}_{row['end']}".strip("_"))
    box = (left, top, right - left, bottom - top)
    split = {"train": "train", "test": "test", "val": "validation"}.get(row.get("partition") or "", "")
    return Entry(video, Wanted(name, person, start, end, box, split), in_pixels=size)


def _celebv_hq(path: Path) -> list[Entry] | None:
    """CelebV-HQ: `clips`, each with ytb_id, duration in seconds and a box in shares of the frame."""
    if path.suffix.lower() != ".json":
        return None
    plain = json.loads(path.read_text(encoding="utf-8"))
    entries = []
    for name, clip in plain["clips"].items():
        box, times = clip["bbox"], clip["duration"]
        top, bottom, left, right = (float(box[side]) for side in ("top", "bottom", "left", "right"))
        wanted = Wanted(_harmless(name), "", float(times["start_sec"]), float(times["end_sec"]))
        entries.append(Entry(clip["ytb_id"], replace(wanted, box=(left, top, right - left, bottom - top))))
    return entries


def _talking_head(path: Path) -> list[Entry] | None:
    """TalkingHead-1KH: name, height, width, first and last frame, left, top, right, bottom a line."""
    lines = [line.split(",") for line in _lines(path)]
    if not lines or any(len(line) != 9 for line in lines):
        return None
    return [_tube(line) for line in lines]


def _tube(line: Sequence[str]) -> Entry:
    height, width, first, last, left, top, right, bottom = (int(number) for number in line[1:])
    name = _harmless(f"{line[0].strip()}_S{first}_E{last}")
    box = float(left), float(top), float(right - left), float(bottom - top)
    wanted = Wanted(name, "", float(first), float(last + 1), box)
    return Entry(line[0].strip(), wanted, in_frames=True, in_pixels=(width, height))


def _hdtf(path: Path) -> list[Entry] | None:
    """HDTF: video name, then the times of its clips, `mm:ss-mm:ss`; X_crop_wh.txt beside it has their boxes."""
    lines = [line.split() for line in _lines(path)]
    if not lines or any(len(line) < 2 or not all(map(_span, line[1:])) for line in lines):
        return None
    boxes = _hdtf_boxes(path)
    entries = []
    for video, *spans in lines:
        for place, span in enumerate(spans):
            start, end = (_seconds(time) for time in span.split("-"))
            name = f"{Path(video).stem}_{place}"
            wanted = Wanted(_harmless(name), Path(video).stem, start, end, boxes.get(name))
            entries.append(Entry(Path(video).stem, wanted, in_pixels=(0, 0) if name in boxes else None))
    return entries


def _hdtf_boxes(path: Path) -> dict[str, tuple[float, float, float, float]]:
    """Name of a clip, left, width, top, height a line."""
    beside = path.with_name(re.sub("annotion_time|annotation_time", "crop_wh", path.name))
    if beside == path or not beside.is_file():
        return {}
    boxes = {}
    for name, *numbers in (line.split() for line in _lines(beside)):
        left, width, top, height = (float(number) for number in numbers[:4])
        boxes[Path(name).stem] = (left, top, width, height)
    return boxes


def _span(text: str) -> bool:
    return re.fullmatch(r"(\d+:)?\d+:\d+(\.\d+)?-(\d+:)?\d+:\d+(\.\d+)?", text) is not None


def _seconds(text: str) -> float:
    total = 0.0
    for part in text.split(":"):
        total = 60 * total + float(part)
    return total


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]


def _harmless(name: str) -> str:
    return re.sub("_+", "_", re.sub(r"[^A-Za-z0-9-]", "_", name)).strip("_")


def with_lists(units: Sequence[Unit], entries: Iterable[Entry], exact: bool) -> tuple[list[Unit], list[str]]:
    """The units with what lists want of them, and the names of videos that lists have and nobody gave.

    A raw video is found by its name without the ending. `exact`: boxes of lists are the crops.

    Raises:
        UserError: none of the listed videos is there, two entries have one name, or an exact one has no box.
    """
    by_stem = {Path(unit.source).stem: unit for unit in units}
    wanted: dict[str, list[Entry]] = {}
    names: set[str] = set()
    for entry in entries:
        if entry.wanted.name in names:
            raise UserError(f"two entries of the lists are called {entry.wanted.name}")
        if exact and entry.wanted.box is None:
            raise UserError(f"--protocol takes the boxes of the list, and {entry.wanted.name} has none")
        names.add(entry.wanted.name)
        wanted.setdefault(entry.video, []).append(entry)
    there = [name for name in wanted if name in by_stem]
    if not there:
        raise UserError(f"none of the {len(wanted)} listed videos is there, such as {next(iter(wanted), '')}.mp4")
    found = [
        replace(by_stem[name], wanted=tuple(_settled(by_stem[name], wanted[name], exact))) for name in sorted(there)
    ]
    return sorted(found, key=lambda unit: unit.key), sorted(set(wanted) - set(there))


def _settled(unit: Unit, entries: Sequence[Entry], exact: bool) -> Iterator[Wanted]:
    """Times in seconds, boxes in shares of the frame."""
    rate, size = 0.0, (0, 0)
    if any(entry.in_frames or entry.in_pixels == (0, 0) for entry in entries):
        rate, size = _facts(unit)
    for entry in entries:
        wanted = replace(entry.wanted, exact=exact)
        if entry.in_frames and rate:
            wanted = replace(wanted, start=wanted.start / rate, end=wanted.end / rate)
        if entry.in_pixels is not None and wanted.box is not None:
            width, height = entry.in_pixels if any(entry.in_pixels) else size
            x, y, wide, high = wanted.box
            scaled = (x / width, y / height, wide / width, high / height) if width and height else None
            wanted = replace(wanted, box=scaled)
        yield wanted


def _facts(unit: Unit) -> tuple[float, tuple[int, int]]:
    """Rate and size of a raw video; zeros for one that cannot be read, which becomes a row of its own."""
    try:
        container, stream = open_video(unit.path)
        with container:
            return float(frame_rate(unit.path).nominal), (stream.width, stream.height)
    except UserError:
        return 0.0, (0, 0)
