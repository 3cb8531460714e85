"""Samples a second from each way to keep clips, interleaved: folders read by seeking, decoded frames, shards.

    python benchmarks/loading.py CLIPS [--clips 16] [--size 256] [--workers 0 2] [--seconds 3] [--rounds 3]

A sample is an augmented pair, as `dagan train` reads it. Files are in the page cache: this is the processor's share,
not the disk's. Copies are made in a temporary folder, and deleted.
"""

import argparse
import statistics
import tempfile
import time
from itertools import count, islice
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from dagan.data.clips import find_clips
from dagan.data.opening import open_clips
from dagan.data.packing import pack
from dagan.data.sampling import SourceDrivingPairs
from dagan.data.storing import STORES, PackConfig

BATCH = 4
FOREVER = 2**40  # samples


def chosen(root: Path, folder: Path, number: int) -> Path:
    """A folder with links to evenly spread clips of another."""
    clips = find_clips(root)
    for clip in clips[:: max(1, len(clips) // number)][:number]:
        link = folder / clip.path.relative_to(root)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(clip.path.resolve())
    return folder


def samples_per_second(clips, workers: int, seconds: float) -> float:
    pairs = SourceDrivingPairs(clips, length=FOREVER, seed=0)
    batches = iter(DataLoader(pairs, sampler=range(FOREVER), batch_size=BATCH, num_workers=workers))
    list(islice(batches, 3 * max(1, workers)))  # what workers make before the clock starts
    started = time.perf_counter()
    for made in count(BATCH, BATCH):
        next(batches)
        if (taken := time.perf_counter() - started) >= seconds:
            return made / taken
    raise AssertionError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", metavar="CLIPS", type=Path)
    parser.add_argument("--clips", type=int, default=16, help="how many of the folder")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)  # as in a worker
    with tempfile.TemporaryDirectory() as folder:
        work, root = Path(folder), chosen(args.root, Path(folder) / "clips", args.clips)
        ways = {way: open_clips(root, work / way, args.size, way) for way in ("seek", "cache")}
        for store in STORES:
            pack(root, work / store, PackConfig(store=store, size=args.size), jobs=2)
            ways[f"shards, {store}"] = open_clips(work / store, work / "index", args.size, "seek")
        rates = {(way, workers): [] for way in ways for workers in args.workers}
        for _ in range(args.rounds):
            for (way, workers), found in rates.items():
                found.append(samples_per_second(ways[way], workers, args.seconds))
    print(f"| samples/s | {' | '.join(f'{workers} workers' for workers in args.workers)} |")
    print(f"|{' --- |' * (1 + len(args.workers))}")
    for way in ways:
        print(f"| {way} | {' | '.join(f'{statistics.median(rates[way, n]):.1f}' for n in args.workers)} |")


if __name__ == "__main__":
    main()
