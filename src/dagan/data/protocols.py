"""Fixed test lists: which frames are compared, drawn from a seed so that everybody compares the same."""

import hashlib
import math
import warnings
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from dagan.data.clips import Clip, fit_square, frame_files, read_folder
from dagan.data.decoding import DecodeReport, decode, open_video, read_frames
from dagan.errors import UserError

MIN_GAP = 15  # frames; half a second at 30 frames/s, so that there is motion to follow
SEED = 0


class FramePair(NamedTuple):
    """A source and a driving frame of one clip, by their index in decoding order."""

    clip: Clip
    source: int
    driving: int


def self_reenactment_pairs(
    clips: Iterable[Clip], pairs_per_clip: int, min_gap: int = MIN_GAP, seed: int = SEED
) -> list[FramePair]:
    """Pairs of two frames of one clip at least `min_gap` apart, either of them first, none twice.

    A clip's pairs depend on its name, its number of frames and the seed, not on the other clips. Clips with too few
    frames give fewer pairs, or none. Reads every clip once to count its frames.

    Raises:
        UserError: a clip cannot be read.
    """
    return [pair for clip in clips for pair in clip_pairs(clip, count_frames(clip), pairs_per_clip, min_gap, seed)]


def clip_pairs(
    clip: Clip, num_frames: int, pairs_per_clip: int, min_gap: int = MIN_GAP, seed: int = SEED
) -> list[FramePair]:
    """The pairs of one clip of `num_frames` frames: drawn without repetition from all that are far enough apart."""
    if min_gap < 1:
        raise ValueError(f"min_gap is {min_gap}; two frames of a pair must be at least 1 apart")
    earlier = max(num_frames - min_gap, 0)  # frames that have a partner after them
    possible = earlier * (earlier + 1)  # both directions
    digest = hashlib.sha256(f"{seed}:{clip.name}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    ranks = generator.choice(possible, size=min(pairs_per_clip, possible), replace=False)
    return [FramePair(clip, *_pair_of_rank(int(rank), min_gap)) for rank in ranks]


def _pair_of_rank(rank: int, min_gap: int) -> tuple[int, int]:
    """Counts through (0, 0), (0, 1), (1, 1), (0, 2) ...: the gap is added to the second; odd ranks are swapped."""
    half, swapped = divmod(rank, 2)
    last = (math.isqrt(8 * half + 1) - 1) // 2
    first = half - last * (last + 1) // 2
    return (last + min_gap, first) if swapped else (first, last + min_gap)


def count_frames(clip: Clip) -> int:
    """The number of frames that decode, which a container's header only promises; warns about a damaged file."""
    if clip.path.is_dir():
        return len(frame_files(clip.path))
    report = DecodeReport()
    container, stream = open_video(clip.path)
    with container:
        report.num_frames = sum(1 for _ in decode(container, stream, report))  # without the costly way to RGB
    if report.damage:
        warnings.warn(report.line(clip.path), stacklevel=2)
    return report.num_frames


def read_chosen_frames(clip: Clip, indices: Collection[int], size: int) -> dict[int, UInt8[np.ndarray, "size size 3"]]:
    """The frames with the given indices, the central square at `size` pixels; no other frame is kept in memory.

    Raises:
        UserError: the clip cannot be read, or has no such frame.
    """
    wanted = frozenset(indices)
    chosen: dict[int, UInt8[np.ndarray, "size size 3"]] = {}
    for index, frame in enumerate(_frames(clip)):
        if index in wanted:
            chosen[index] = fit_square(frame, size)
        if len(chosen) == len(wanted):
            break
    if len(chosen) < len(wanted):
        raise UserError(f"{clip.path} has no frame {min(wanted - chosen.keys())}; did it change while it was read?")
    return chosen


def _frames(clip: Clip) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    return read_folder(clip.path) if clip.path.is_dir() else read_frames(clip.path, DecodeReport())
