"""One person's video as frames to train on: cropped as `dagan animate` crops a driver, and stored once."""

import hashlib
from collections.abc import Iterator
from itertools import count as numbers_from
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from dagan.data.clips import PROGRESS_DELAY
from dagan.data.decoding import read_frames
from dagan.data.frame_cache import CachedFrames, read_cached, store_frames
from dagan.data.seeking import index_video
from dagan.images import Crop, apply_crop
from dagan.inference.crop import CropChoice
from dagan.inference.drivers import crop_of_file
from dagan.inference.video import probe

LAYOUT = 1  # of the stored frames: raise it when their pixels change


def count_frames(path: Path) -> int:
    """How many frames a video has. Raises UserError when it is none."""
    return index_video(path).num_frames


def store_clip(path: Path, choice: CropChoice, size: int, num_frames: int, folder: Path) -> CachedFrames:
    """`num_frames` frames, evenly chosen from all of a video, under one crop at `size` x `size`, in a file in `folder`
    unless they are there already. They are decoded one by one: memory does not grow with the video's length.

    Raises:
        UserError: not a video, no face where one was to be found, or the folder cannot be written.
    """
    crop = crop_of_file(path, probe(path).rate, choice)
    facts = (path.name, path.stat().st_mtime_ns, path.stat().st_size, tuple(crop), size, num_frames, LAYOUT)
    file = folder / f"frames-{hashlib.sha256(repr(facts).encode()).hexdigest()[:12]}.npy"
    return read_cached(file) or store_frames(file, _chosen(path, crop, size, num_frames), size)


def _chosen(path: Path, crop: Crop, size: int, num_frames: int) -> Iterator[UInt8[np.ndarray, "size size 3"]]:
    total = count_frames(path)
    wanted = set(np.linspace(0, total - 1, min(num_frames, total)).round().astype(int).tolist())
    frames = tqdm(
        read_frames(path), total=total, desc="reading frames", unit="frame", disable=None, delay=PROGRESS_DELAY
    )
    for number, frame in zip(numbers_from(), frames, strict=False):
        if number in wanted:
            pixels = apply_crop(frame, crop, size).permute(1, 2, 0)  # h w 3
            yield (pixels * 255).round().byte().numpy()
