"""One person's video as frames to train on: cropped as `dagan animate` crops a driver, and stored once."""

import hashlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from dagan.data.clips import PROGRESS_DELAY
from dagan.data.decoding import read_frames
from dagan.data.frame_cache import CachedFrames, read_cached, store_frames
from dagan.data.seeking import index_video
from dagan.images import to_pixels
from dagan.inference.crop import CropChoice
from dagan.inference.drivers import framed

LAYOUT = 2  # of the stored frames: raise it when their pixels change


def count_frames(path: Path) -> int:
    """How many frames a video has. Raises UserError when it is none."""
    return index_video(path).num_frames


def store_clip(path: Path, choice: CropChoice, size: int, num_frames: int, folder: Path) -> CachedFrames:
    """`num_frames` frames that show the person, evenly chosen from all of a video, each cropped as a driver's is, at
    `size` x `size`, in a file in `folder` unless they are there already. They are decoded one by one: memory does not
    grow with the video's length.

    Raises:
        UserError: not a video, no face where one was to be found, or the folder cannot be written.
    """
    asked = choice if isinstance(choice, str) else tuple(choice)
    facts = (path.name, path.stat().st_mtime_ns, path.stat().st_size, asked, size, num_frames, LAYOUT)
    file = folder / f"frames-{hashlib.sha256(repr(facts).encode()).hexdigest()[:12]}.npy"
    return read_cached(file) or store_frames(file, _chosen(path, choice, size, num_frames), size)


def _chosen(path: Path, choice: CropChoice, size: int, num_frames: int) -> Iterator[UInt8[np.ndarray, "size size 3"]]:
    _, framing = framed(path, choice)
    shown, total = np.flatnonzero(framing.found), len(framing.found)
    if len(shown) < total:
        warnings.warn(f"{total - len(shown)} of {total} frames of {path} have no face: left out", stacklevel=2)
    places = np.linspace(0, len(shown) - 1, min(num_frames, len(shown))).round().astype(int)
    wanted = set(shown[places].tolist())
    frames = tqdm(
        read_frames(path), total=total, desc="reading frames", unit="frame", disable=None, delay=PROGRESS_DELAY
    )
    for number, frame in enumerate(frames):
        if number in wanted:
            yield to_pixels(framing.picture(number, frame, size))
