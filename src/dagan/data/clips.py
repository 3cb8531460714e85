"""A folder of face clips: what is there, and its frames decoded once into memory-mapped arrays."""

import hashlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from tqdm import tqdm

from dagan.data.decoding import IMAGE_SUFFIXES, VIDEO_SUFFIXES, DecodeReport, read_frames, read_image
from dagan.errors import UserError

MIN_FRAMES = 2  # a source and a driving frame
CACHE_VERSION = 2  # part of every cache name: raise it when decoding changes its pixels
PROGRESS_DELAY = 2.0  # seconds before a bar appears: a warm cache opens silently


@dataclass(frozen=True)
class Clip:
    """One video file or one folder of frames, of one person. `name` is unique below its root."""

    path: Path
    identity: str
    name: str


@dataclass(frozen=True, eq=False)
class ClipFrames:
    """A clip with its frames: an array, or a read-only memory map that costs no memory until looked at."""

    frames: UInt8[np.ndarray, "t h w 3"]
    clip: Clip

    def __len__(self) -> int:
        return len(self.frames)

    def __reduce__(self) -> tuple[Any, ...]:
        """Workers reopen a memory map by name; plain pickling would copy all of its frames."""
        if isinstance(self.frames, np.memmap):
            return _reopen, (str(self.frames.filename), self.clip)
        return ClipFrames, (self.frames, self.clip)


def _reopen(file: str, clip: Clip) -> ClipFrames:
    return ClipFrames(np.load(file, mmap_mode="r"), clip)


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


def open_frames(root: str | Path, cache_dir: str | Path, size: int) -> list[ClipFrames]:
    """Every clip below `root` at `size` x `size`, decoded into `cache_dir` unless it is there already.

    Clips that cannot be read or have fewer than two frames are skipped; stderr gets one line with their names.

    Raises:
        UserError: no clips, no usable clip, or a cache folder that cannot be written.
    """
    clips, opened, problems = find_clips(root), [], []
    try:
        Path(cache_dir).mkdir(parents=True, exist_ok=True)
        for clip in tqdm(clips, desc="decoding clips", unit="clip", disable=None, delay=PROGRESS_DELAY):
            try:
                opened.append(_open_clip(clip, Path(cache_dir), size))
            except UserError as error:
                problems.append(f"{clip.name} ({error})")
    except OSError as error:
        raise UserError(f"cannot write the frame cache in {cache_dir}: {error.strerror or error}") from error
    if problems:
        print(f"skipped {len(problems)} of {len(clips)} clips: {'; '.join(problems)}", file=sys.stderr)
    if not opened:
        raise UserError(f"none of the {len(clips)} clips in {root} can be used; see the line above")
    return opened


def _open_clip(clip: Clip, cache_dir: Path, size: int) -> ClipFrames:
    file = cache_dir / _cache_name(clip, size)
    if not file.exists():
        partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
        try:
            _decode_into(partial, clip, size)
            os.replace(partial, file)
        finally:
            partial.unlink(missing_ok=True)
    return _reopen(str(file), clip)


def _cache_name(clip: Clip, size: int) -> str:
    """Changes with the file's name, time and length, with the frame size and with how we decode."""
    files = frame_files(clip.path) if clip.path.is_dir() else [clip.path]
    facts = [(file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files]
    digest = hashlib.sha256(repr((clip.name, facts, size, CACHE_VERSION)).encode()).hexdigest()[:12]
    return f"{re.sub(r'[^A-Za-z0-9._-]', '_', clip.name)[:100]}-{size}-{digest}.npy"


def _decode_into(file: Path, clip: Clip, size: int) -> None:
    report = DecodeReport()
    frames = read_clip(clip, report)
    with file.open("wb") as stream:
        count = _write_npy(stream, (fit_square(frame, size) for frame in frames), size)
    if count < MIN_FRAMES:
        raise UserError(f"{count} frame; at least {MIN_FRAMES} are needed")
    if report.damage:
        tqdm.write(report.line(clip.path), file=sys.stderr)


def _write_npy(stream: BinaryIO, frames: Iterator[UInt8[np.ndarray, "h w 3"]], size: int) -> int:
    """Streams frames into the npy format: NumPy pads the header so that the first axis may be filled in afterwards."""

    def write_header(count: int) -> int:
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, size, size, 3)}
        np.lib.format.write_array_header_1_0(stream, header)
        return stream.tell()

    start, count = write_header(0), 0
    for frame in frames:
        stream.write(frame.tobytes())
        count += 1
    stream.seek(0)
    if write_header(count) != start:
        raise RuntimeError("the npy header changed its length")
    return count


def frame_files(folder: Path) -> Sequence[Path]:
    """Frames in the order of the numbers in their names: 2.png before 10.png."""
    files = [path for path in _visible(folder) if path.suffix.lower() in IMAGE_SUFFIXES]
    return sorted(files, key=lambda path: [(int(n or 0), s) for n, s in re.findall(r"(\d*)(\D*)", path.stem)])


def read_clip(clip: Clip, report: DecodeReport | None = None) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """A clip's frames one by one as they are on disk, whichever kind it is; `report` as in `read_frames`."""
    return read_folder(clip.path) if clip.path.is_dir() else read_frames(clip.path, report)


def read_folder(folder: Path) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    return (read_image(file) for file in frame_files(folder))


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
