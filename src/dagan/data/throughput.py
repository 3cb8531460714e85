"""How many samples a second each way of reading clips gives: `dagan data bench`."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch.utils.data import DataLoader
from tqdm import tqdm

from dagan.data.clip_index import open_seeking
from dagan.data.clips import Clip, ClipFrames, StoredFrames, find_clips, read_clip
from dagan.data.frame_cache import open_frames
from dagan.data.packing import pack
from dagan.data.sampling import FramePair, SourceDrivingPairs
from dagan.data.shards import holds_shards, open_shards
from dagan.data.storing import STORES, PackConfig

BATCH_SIZE = 4
WARM_UP_BATCHES = 3  # for each worker: what they make before the clock starts


class Way(NamedTuple):
    """A way of reading, its clips, and what it keeps on disk."""

    name: str
    clips: Sequence[ClipFrames]
    num_bytes: int


@dataclass(frozen=True)
class WholeFrames(StoredFrames):
    """A clip that is decoded from its first frame to its last for every sample: what the others are compared with."""

    clip: Clip
    size: int
    count: int

    def __len__(self) -> int:
        return self.count

    def read(self, numbers: Sequence[int]) -> list[UInt8[np.ndarray, "_h _w 3"]]:
        frames = list(read_clip(self.clip))
        return [frames[number] for number in numbers]


def ways_of_reading(root: Path, work: Path, size: int, num_clips: int) -> Iterator[Way]:
    """Every way to read the first clips of a folder (links to them, and their copies, are put into `work`); a folder
    of shards is read as it is.

    Raises:
        UserError: no clip can be used.
    """
    if holds_shards(root):
        yield Way("shards", open_shards(root, work / "index", size)[:num_clips], _size_of(root))
        return
    chosen = _link(root, work / "clips", num_clips)
    seeking = open_seeking(chosen, work / "index", size)
    num_bytes = sum(_size_of(clip.clip.path) for clip in seeking)
    whole = [ClipFrames(WholeFrames(clip.clip, size, len(clip)), clip.clip) for clip in seeking]
    yield Way("whole clips", whole, num_bytes)
    yield Way("seek", seeking, num_bytes)
    yield Way("cache", open_frames(chosen, work / "cache", size), _size_of(work / "cache"))
    for store in STORES:
        out = work / store
        result = pack(chosen, out, PackConfig(store=store, size=size), jobs=torch.multiprocessing.cpu_count())
        yield Way(f"shards, {store}", open_shards(out, work / "index", size), result.num_bytes)


def _link(root: Path, folder: Path, count: int) -> Path:
    """A folder with links to evenly spread clips of another."""
    clips = find_clips(root)
    folder.mkdir(parents=True)
    for clip in clips[:: max(1, len(clips) // count)][:count]:
        link = folder / clip.path.relative_to(root)
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(clip.path.resolve())
    return folder


def _size_of(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def samples_per_second(clips: Sequence[ClipFrames], workers: int, seconds: float) -> float:
    """Augmented pairs a second, in batches of `BATCH_SIZE`, as `dagan train` reads them; 0 workers: this process."""
    pairs = SourceDrivingPairs(clips, length=2**40, seed=0)
    loader: DataLoader[FramePair] = DataLoader(
        pairs,
        sampler=range(2**40),
        batch_size=BATCH_SIZE,
        num_workers=workers,
        prefetch_factor=2 if workers else None,
    )
    batches = iter(loader)
    for _ in range(WARM_UP_BATCHES * max(1, workers)):
        next(batches)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        next(batches)
        count += BATCH_SIZE
    return count / (time.perf_counter() - start)


def processor_seconds(clips: Sequence[ClipFrames], seconds: float) -> float:
    """Processor time of one augmented pair, which other programs on the machine hardly change."""
    pairs = SourceDrivingPairs(clips, length=2**40, seed=0)
    _ = pairs[0]
    start, began, count = time.process_time(), time.perf_counter(), 0
    while time.perf_counter() - began < seconds or not count:
        count += 1
        _ = pairs[count]
    return (time.process_time() - start) / count


class Measured(NamedTuple):
    """Bytes a frame on disk, processor seconds a sample, and samples a second for each number of workers."""

    name: str
    bytes_per_frame: float
    processor: float
    rates: dict[int, float]


def measure_loading(
    root: Path, work: Path, size: int, num_clips: int, workers: Sequence[int], seconds: float
) -> Iterator[Measured]:
    """Each way of reading, measured. Files are in the page cache: this is the processor's share, not the disk's."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a worker
    try:
        for way in tqdm(ways_of_reading(root, work, size, num_clips), desc="ways", disable=None, leave=False):
            num_frames = sum(map(len, way.clips))
            rates = {count: samples_per_second(way.clips, count, seconds) for count in workers}
            processor = processor_seconds(way.clips, seconds)
            yield Measured(way.name, way.num_bytes / num_frames, processor, rates)
    finally:
        torch.set_num_threads(threads)
