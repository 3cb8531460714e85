"""Clips decoded once into files of raw frames: the fastest to read, and 0.2 MB a frame at 256 pixels."""

import hashlib
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from dagan.data.clips import (
    MIN_FRAMES,
    PROGRESS_DELAY,
    Clip,
    ClipFrames,
    StoredFrames,
    find_clips,
    fit_square,
    frame_files,
    read_clip,
    settle,
)
from dagan.data.decoding import DecodeReport
from dagan.errors import UserError
from dagan.files import written_whole

CACHE_VERSION = 2  # part of every cache name: raise it when decoding changes its pixels


@dataclass(frozen=True)
class CachedFrames(StoredFrames):
    """The frames of an npy file. It is opened for each read: a memory map would hold a file handle for every clip."""

    path: Path
    size: int
    count: int
    start: int  # byte of the first frame

    def __len__(self) -> int:
        return self.count

    def read(self, numbers: Sequence[int]) -> list[UInt8[np.ndarray, "_h _w 3"]]:
        length = self.size * self.size * 3
        with self.path.open("rb") as file:
            return [self._frame(file, self.start + number * length, length) for number in numbers]

    def _frame(self, file: BinaryIO, start: int, length: int) -> UInt8[np.ndarray, "_h _w 3"]:
        file.seek(start)
        content = file.read(length)
        if len(content) < length:
            raise UserError(f"{self.path} was cut short during the run; start again, and it is made again")
        return np.frombuffer(content, np.uint8).reshape(self.size, self.size, 3)


def read_cached(file: Path) -> CachedFrames | None:
    """What a file of frames holds; None if there is no such file, or it is damaged and should be made again."""
    try:
        with file.open("rb") as stream:
            np.lib.format.read_magic(stream)
            (count, size, _, _), _, _ = np.lib.format.read_array_header_1_0(stream)
            kept = CachedFrames(file, size, count, stream.tell())
    except (FileNotFoundError, ValueError):
        return None
    return kept if file.stat().st_size == kept.start + count * size * size * 3 else None


def store_frames(file: Path, frames: Iterable[UInt8[np.ndarray, "size size 3"]], size: int) -> CachedFrames:
    """Streams frames into a file, which is there whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    try:
        with written_whole(file) as partial, partial.open("wb") as stream:
            _write_npy(stream, frames, size)
    except OSError as error:
        raise UserError(f"cannot write frames in {file.parent}: {error.strerror or error}") from error
    stored = read_cached(file)
    assert stored is not None
    return stored


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
                opened.append(open_clip(clip, Path(cache_dir), size))
            except UserError as error:
                problems.append(f"{clip.name} ({error})")
    except OSError as error:
        raise UserError(f"cannot write the frame cache in {cache_dir}: {error.strerror or error}") from error
    settle(root, opened, problems)
    return opened


def open_clip(clip: Clip, cache_dir: Path, size: int) -> ClipFrames:
    """One clip, decoded into a folder that is there unless it is in it already. Raises UserError as `read_clip`."""
    file = cache_dir / _cache_name(clip, size)
    kept = read_cached(file)
    if kept is None:
        with written_whole(file) as partial:
            _decode_into(partial, clip, size)
        kept = read_cached(file)
        assert kept is not None
    return ClipFrames(kept, clip)


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


def _write_npy(stream: BinaryIO, frames: Iterable[UInt8[np.ndarray, "h w 3"]], size: int) -> int:
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
