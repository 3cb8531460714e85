"""Clips opened without decoding them: how many frames each has and how to get at any one, kept in a small file.

Making the index reads the packets of each video once (some milliseconds), and the sizes of all pictures of a folder.
"""

import json
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from tqdm import tqdm

from dagan.data.clips import (
    MIN_FRAMES,
    PROGRESS_DELAY,
    Clip,
    ClipFrames,
    StoredFrames,
    find_clips,
    frame_files,
    mixed_sizes,
    settle,
)
from dagan.data.pictures import read_image
from dagan.data.seeking import MOST_FRAMES, VideoIndex, index_video, read_numbered
from dagan.errors import UserError
from dagan.files import write_text

INDEX_FILE = "clip_index.json"
INDEX_VERSION = 1
SAVE_SECONDS = 30.0  # an interrupted index goes on from its last save
MAX_THREADS = 8


@dataclass(frozen=True)
class VideoFrames(StoredFrames):
    """The frames of a video file, decoded when asked for."""

    path: Path
    size: int
    index: VideoIndex

    def __len__(self) -> int:
        return self.index.num_frames

    def read(self, numbers: Sequence[int]) -> list[UInt8[np.ndarray, "_h _w 3"]]:
        return read_numbered(self.path, self.index, numbers)


@dataclass(frozen=True)
class FolderFrames(StoredFrames):
    """The pictures of a folder, which is listed for each read: the names of millions of files are not kept."""

    path: Path
    size: int
    count: int

    def __len__(self) -> int:
        return self.count

    def read(self, numbers: Sequence[int]) -> list[UInt8[np.ndarray, "_h _w 3"]]:
        files = frame_files(self.path)
        if len(files) != self.count:
            raise UserError(f"{self.path} has {len(files)} frames, and had {self.count}; start the run again")
        return read_pictures(lambda number: read_image(files[number]), numbers, self.count)


def read_pictures(
    read: Callable[[int], UInt8[np.ndarray, "_h _w 3"]], numbers: Sequence[int], count: int
) -> list[UInt8[np.ndarray, "_h _w 3"]]:
    """Pictures by number; in the place of a damaged one the nearest that can be read, with a warning.

    Raises:
        UserError: none of the `count` pictures can be read.
    """
    return [_nearest_picture(read, number, count) for number in numbers]


def _nearest_picture(
    read: Callable[[int], UInt8[np.ndarray, "_h _w 3"]], number: int, count: int
) -> UInt8[np.ndarray, "_h _w 3"]:
    try:
        return read(number)
    except UserError as error:
        reason = error
    for other in sorted(set(range(count)) - {number}, key=lambda other: abs(other - number)):
        try:
            picture = read(other)
        except UserError:
            continue
        warnings.warn(f"{reason}; frame {other} takes its place", stacklevel=2)
        return picture
    raise reason


def open_seeking(root: str | Path, cache_dir: str | Path, size: int) -> list[ClipFrames]:
    """Every clip below `root` at `size` x `size`, each frame decoded when it is asked for.

    The clips, their order and their frames are those of `open_frames`. `cache_dir` keeps the index, not frames.
    Clips that cannot be read or have fewer than two frames are skipped; stderr gets one line with their names.

    Raises:
        UserError: no clips, no usable clip, or a cache folder that cannot be written.
    """
    clips, opened, problems, notes = find_clips(root), [], [], []
    try:
        for clip, known in zip(clips, _index_all(clips, Path(cache_dir)), strict=True):
            if isinstance(known, UserError):
                problems.append(f"{clip.name} ({known})")
                continue
            opened.append(ClipFrames(_frames_of(clip, known, size), clip))
            if isinstance(known, VideoIndex) and known.damage:
                notes.append(f"{clip.name} ({known.num_frames} frames; {known.damage})")
    except OSError as error:
        raise UserError(f"cannot keep the index of clips in {cache_dir}: {error.strerror or error}") from error
    settle(root, opened, problems, notes)
    return opened


def _frames_of(clip: Clip, known: VideoIndex | int, size: int) -> StoredFrames:
    if isinstance(known, int):
        return FolderFrames(clip.path, size, known)
    return VideoFrames(clip.path, size, known)


def index_clip(clip: Clip) -> VideoIndex | int:
    """The index of a video, or the number of pictures in a folder.

    Raises:
        UserError: it cannot be read, has fewer than two frames, or frames of different sizes.
    """
    known = count_pictures(clip.path) if clip.path.is_dir() else index_video(clip.path)
    count = known if isinstance(known, int) else known.num_frames
    if count < MIN_FRAMES:
        raise UserError(f"{count} frame; at least {MIN_FRAMES} are needed")
    return known


def count_pictures(folder: Path) -> int:
    """The number of pictures in a folder, by their headers alone.

    Raises:
        UserError: one is no picture, or of another size than the first.
    """
    files, first = frame_files(folder), (0, 0)
    for file in files:
        try:
            with Image.open(file) as picture:
                first = first if any(first) else picture.size
                if picture.size != first:
                    raise mixed_sizes(first, picture.size, file.name)
        except OSError as error:
            raise UserError(f"{file.name} is not an image that can be read") from error
    return len(files)


def _index_all(clips: Sequence[Clip], cache_dir: Path) -> Iterator[VideoIndex | int | UserError]:
    """Of each clip what is known, or what is wrong with it; what has not changed comes from the file."""
    kept = _load(cache_dir / INDEX_FILE)
    cache_dir.mkdir(parents=True, exist_ok=True)
    saved_at, num_new = time.monotonic(), 0

    def look(clip: Clip) -> tuple[str, VideoIndex | int | UserError, bool]:
        key = _key(clip)
        if key in kept and (known := _from_plain(kept[key])) is not None:
            return key, known, False
        try:
            return key, index_clip(clip), True
        except UserError as error:
            return key, error, False  # not kept: it may be mended

    with ThreadPoolExecutor(min(MAX_THREADS, os.cpu_count() or 1)) as pool:
        found = pool.map(look, clips)
        try:
            for key, known, is_new in tqdm(
                found, total=len(clips), desc="indexing clips", unit="clip", disable=None, delay=PROGRESS_DELAY
            ):
                if is_new and not isinstance(known, UserError):
                    kept[key], num_new = _to_plain(known), num_new + 1
                    if time.monotonic() - saved_at > SAVE_SECONDS:
                        _save(cache_dir / INDEX_FILE, kept)
                        saved_at = time.monotonic()
                yield known
        finally:
            pool.shutdown(cancel_futures=True)
            if num_new:
                _save(cache_dir / INDEX_FILE, kept)


def _key(clip: Clip) -> str:
    """Changes with the file's name, time and length; a folder's time changes when a file comes or goes."""
    facts = clip.path.stat()
    return f"{clip.name}|{facts.st_mtime_ns}|{facts.st_size}"


def _to_plain(known: VideoIndex | int) -> dict[str, Any]:
    return {"pictures": known} if isinstance(known, int) else known.to_plain()


def _from_plain(plain: Any) -> VideoIndex | int | None:
    """What the file says of a clip; None when that is damaged: then the clip is looked at again."""
    try:
        pictures = plain.get("pictures")
        if pictures is None:
            return VideoIndex.from_plain(plain)
        return int(pictures) if 0 <= int(pictures) <= MOST_FRAMES else None
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        return None


def _load(file: Path) -> dict[str, Any]:
    try:
        plain = json.loads(file.read_text())
        return dict(plain["clips"]) if plain["version"] == INDEX_VERSION else {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}  # made again


def _save(file: Path, clips: dict[str, Any]) -> None:
    write_text(file, json.dumps({"version": INDEX_VERSION, "clips": clips}))
