"""Training samples from clips. Item i depends on (seed, i) only, so a run resumes exactly by going on at its index."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from dagan.data.augment import augment as augment_frames
from dagan.data.clips import ClipFrames

GAPS = (1, 2, 3)  # frames between a frame and its neighbours: 1 is the paper's; more gives slow faces a baseline


class FramePair(NamedTuple):
    """I_s and I_d of one clip, RGB in [0, 1], and where they come from. `flipped`: both were mirrored."""

    source: Float[Tensor, "3 h w"]
    driving: Float[Tensor, "3 h w"]
    clip_index: int
    source_index: int
    driving_index: int
    flipped: bool


class FrameTriple(NamedTuple):
    """A frame with the ones before and after it, RGB in [0, 1]: minimum reprojection needs two neighbours."""

    frame: Float[Tensor, "3 h w"]
    neighbours: Float[Tensor, "2 3 h w"]


class _Draw:
    """The random choices of one item."""

    def __init__(self, seed: int, index: int):
        self.numbers = np.random.default_rng((seed, index))

    def below(self, count: int) -> int:
        return int(self.numbers.integers(count))

    def torch_generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(int(self.numbers.integers(2**63)))


class SourceDrivingPairs(Dataset[FramePair]):
    """Pairs for stage 2: a person uniformly, then one of their clips, then two different frames of it."""

    def __init__(self, clips: Sequence[ClipFrames], length: int, seed: int, augment: bool = True):
        self.clips, self.length, self.seed, self.augment = clips, length, seed, augment
        self._people = _clips_by_person(clips, min_frames=2)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> FramePair:
        """Pair number `index`, the same in every run with this seed."""
        _check_index(index, self.length)
        draw = _Draw(self.seed, index)
        clip = _choose_clip(self._people, draw)
        count = len(self.clips[clip])
        source = draw.below(count)
        driving = (source + 1 + draw.below(count - 1)) % count  # any but the source
        frames, flipped = _load(self.clips[clip], [source, driving], self.augment, draw)
        return FramePair(frames[0], frames[1], clip, source, driving, flipped)


class ConsecutiveFrames(Dataset[FrameTriple]):
    """Triples for stage 1: a frame I_i and its neighbours at one random gap, I_i-g and I_i+g (Sec. 3.2)."""

    def __init__(
        self, clips: Sequence[ClipFrames], length: int, seed: int, gaps: Sequence[int] = GAPS, augment: bool = True
    ):
        self.clips, self.length, self.seed, self.gaps, self.augment = clips, length, seed, tuple(gaps), augment
        self._people = _clips_by_person(clips, min_frames=2 * min(gaps) + 1)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> FrameTriple:
        """Triple number `index`, the same in every run with this seed; short clips use the gaps that fit."""
        _check_index(index, self.length)
        draw = _Draw(self.seed, index)
        clip = self.clips[_choose_clip(self._people, draw)]
        fitting = [gap for gap in self.gaps if 2 * gap < len(clip)]
        gap = fitting[draw.below(len(fitting))]
        middle = gap + draw.below(len(clip) - 2 * gap)
        frames, _ = _load(clip, [middle, middle - gap, middle + gap], self.augment, draw)
        return FrameTriple(frames[0], frames[1:])


def _clips_by_person(clips: Sequence[ClipFrames], min_frames: int) -> list[list[int]]:
    """Indices of the clips that are long enough, one list per person, in the order of their names."""
    people: dict[str, list[int]] = {}
    for index, clip in enumerate(clips):
        if len(clip) >= min_frames:
            people.setdefault(clip.clip.identity, []).append(index)
    if not people:
        raise ValueError(f"none of {len(clips)} clips has the {min_frames} frames that a sample needs")
    return [people[identity] for identity in sorted(people)]


def _choose_clip(people: list[list[int]], draw: _Draw) -> int:
    clips = people[draw.below(len(people))]
    return clips[draw.below(len(clips))]


def _load(clip: ClipFrames, indices: list[int], augment: bool, draw: _Draw) -> tuple[Float[Tensor, "t 3 h w"], bool]:
    pixels = torch.from_numpy(np.stack([clip.frames[index] for index in indices]))  # t h w 3
    frames = rearrange(pixels, "t h w c -> t c h w").float() / 255
    return augment_frames(frames, draw.torch_generator()) if augment else (frames, False)


def _check_index(index: int, length: int) -> None:
    if not 0 <= index < length:
        raise IndexError(f"item {index} of {length}")
