"""Fixed test lists: which frames are compared, drawn from a seed so that everybody compares the same."""

import hashlib
import math
import warnings
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from dagan.data.clips import Clip, frame_files
from dagan.data.decoding import DecodeReport, decode, open_video, read_frames
from dagan.data.pictures import IMAGE_SUFFIXES, read_image
from dagan.errors import UserError

MIN_GAP = 15  # frames; half a second at 30 frames/s, so that there is motion to follow
SEED = 0


class Frame(NamedTuple):
    """One frame of any clip, by its number from 0 in decoding order; `sha256` (`frame_sha256`) if a list states it."""

    clip: Clip
    number: int
    sha256: str | None = None


class ReenactmentPair(NamedTuple):
    """A source and a driving frame of any two clips. `key` names the pair, and the image generated for it.

    `rest`: the frame of the driving clip from which relative motion is measured; None: motion is absolute.
    """

    key: str
    source: Frame
    driving: Frame
    rest: Frame | None = None


def pair_of(source: Frame, driving: Frame) -> ReenactmentPair:
    """The pair of two frames, keyed by clips and frame numbers."""
    return ReenactmentPair(f"{source.clip.name}:{source.number}>{driving.clip.name}:{driving.number}", source, driving)


def clip_pairs(
    clip: Clip, num_frames: int, pairs_per_clip: int, min_gap: int = MIN_GAP, seed: int = SEED
) -> list[ReenactmentPair]:
    """Pairs of two frames of one clip at least `min_gap` apart, either of them first, none twice.

    They depend on the clip's name, its number of frames and the seed, not on other clips. A clip with too few frames
    gives fewer pairs, or none.
    """
    if min_gap < 1:
        raise ValueError(f"min_gap is {min_gap}; two frames of a pair must be at least 1 apart")
    earlier = max(num_frames - min_gap, 0)  # frames that have a partner after them
    possible = earlier * (earlier + 1)  # both directions
    generator = _generator(f"{seed}:{clip.name}")
    ranks = generator.choice(possible, size=min(pairs_per_clip, possible), replace=False)
    drawn = (_pair_of_rank(int(rank), min_gap) for rank in ranks)
    return [pair_of(Frame(clip, source), Frame(clip, driving)) for source, driving in drawn]


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


def chosen_frames(clip: Clip, indices: Collection[int]) -> Iterator[tuple[int, UInt8[np.ndarray, "h w 3"]]]:
    """Index and frame as it is on disk, in the order of the clip; no other frame is kept in memory.

    Raises:
        UserError: the clip cannot be read, or has no such frame.
    """
    wanted, found = frozenset(indices), 0
    for index, frame in _numbered(clip, wanted):
        if index in wanted:
            found += 1
            yield index, frame
        if found == len(wanted):
            return
    raise UserError(f"{clip.path} has no frame {max(wanted)}; did it change while it was read?")


def _numbered(clip: Clip, wanted: frozenset[int]) -> Iterator[tuple[int, UInt8[np.ndarray, "h w 3"]]]:
    """At least the wanted frames, without reading more files than those; a picture is a clip of one frame."""
    if clip.path.is_dir():
        return ((i, read_image(file)) for i, file in enumerate(frame_files(clip.path)) if i in wanted)
    if clip.path.suffix.lower() in IMAGE_SUFFIXES:
        return iter([(0, read_image(clip.path))])
    return enumerate(read_frames(clip.path, DecodeReport()))


def frame_sha256(frame: UInt8[np.ndarray, "h w 3"]) -> str:
    """What identifies a decoded frame in pair lists: its size and its RGB bytes, before any resizing."""
    height, width, _ = frame.shape
    return hashlib.sha256(f"{height}x{width}:".encode() + np.ascontiguousarray(frame).tobytes()).hexdigest()


def cross_identity_partners(clip: Clip, clips: Sequence[Clip], count: int, seed: int = SEED) -> list[Clip]:
    """`count` driving clips of other people, none twice; a person with many clips is drawn no more than another."""
    generator = _generator(f"{seed}:cross:{clip.name}")
    by_person: dict[str, list[Clip]] = {}
    for other in clips:
        if other.identity != clip.identity:
            by_person.setdefault(other.identity, []).append(other)
    partners: list[Clip] = []
    while by_person and len(partners) < count:
        for person in generator.permutation(sorted(by_person)).tolist():
            left = by_person[person]
            partners.append(left.pop(int(generator.integers(len(left)))))
            if not left:
                del by_person[person]
    return partners[:count]


def cross_identity_pair(source: Clip, driving: Clip, seed: int = SEED) -> ReenactmentPair:
    """One frame of each clip, drawn from all of them. Both clips are read to count their frames.

    Raises:
        UserError: a clip cannot be read, or has no frames.
    """
    generator = _generator(f"{seed}:cross:{source.name}:{driving.name}")
    counts = count_frames(source), count_frames(driving)
    if not all(counts):
        raise UserError(f"no frames in {source.path if not counts[0] else driving.path}")
    first, second = (int(generator.integers(count)) for count in counts)
    return pair_of(Frame(source, first), Frame(driving, second))


def _generator(text: str) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))
