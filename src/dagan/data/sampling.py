"""Training samples from clips. Item i depends on the clips, the seed and i only: a run that goes on at its index makes
the samples of one that was never stopped, with any number of workers and processes, and however frames are read.

Each epoch visits each person `repeats` times, in an order of its own; each visit shows a random clip of that person.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt32
from torch import Tensor
from torch.utils.data import Dataset

from dagan.data.augment import AUGMENTATION, AugmentConfig, augment
from dagan.data.clips import ClipFrames
from dagan.errors import UserError

SHUFFLE = 1  # keeps the shuffles' random numbers apart from the items'
REPEATS = 1  # published: 75; evenly spread visits differ from it only in where an epoch ends
CANDIDATES = {"expressions": 4, "turns": 8}  # frames of which the most different one drives, by what it differs in
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

    def one_of(self, choices: list[int]) -> int:
        return choices[self.below(len(choices))]

    def torch_generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(int(self.numbers.integers(2**63)))


class _Visits:
    """The clips of the person whom item `index` shows: an epoch is a shuffle in which all stand equally often."""

    def __init__(self, people: list[list[int]], repeats: int, seed: int):
        if repeats < 1:
            raise UserError(f"{repeats} visits to each person in an epoch; it must be 1 or more")
        self.people, self.seed, self.epoch_length = people, seed, repeats * len(people)
        self._shuffled: tuple[int, UInt32[np.ndarray, "n"]] | None = None  # the epoch of the last item, and its order

    def clips_at(self, index: int) -> list[int]:
        epoch, place = divmod(index, self.epoch_length)
        if self._shuffled is None or self._shuffled[0] != epoch:
            numbers = np.random.default_rng((self.seed, epoch, SHUFFLE))  # items draw from (seed, index)
            self._shuffled = epoch, numbers.permutation(np.arange(self.epoch_length, dtype=np.uint32))
        return self.people[int(self._shuffled[1][place]) % len(self.people)]


class SourceDrivingPairs(Dataset[FramePair]):
    """Pairs for stage 2: a visit to a person, then one of their clips, then two different frames of it.

    With `changes`, of every frame of every clip (NaN: unknown) its expressions, turns or both, the driving frame of one
    pair in three for either is the one of `CANDIDATES` that differs most from the source in it: blinks are a twentieth
    of all frames, and most frames of most clips look the same way.
    """

    def __init__(
        self,
        clips: Sequence[ClipFrames],
        length: int,
        seed: int,
        augmentation: AugmentConfig | None = AUGMENTATION,
        repeats: int = REPEATS,
        changes: Mapping[str, Sequence[Float[np.ndarray, "t e"]]] | None = None,
    ):
        self.clips, self.length, self.seed, self.augmentation = clips, length, seed, augmentation
        self.changes = changes or {}
        self._visits = _Visits(_clips_by_person(clips, min_frames=2), repeats, seed)

    @property
    def epoch_length(self) -> int:
        """Samples in which everybody is visited `repeats` times."""
        return self._visits.epoch_length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> FramePair:
        """Pair number `index`, the same in every run with this seed."""
        _check_index(index, self.length)
        draw = _Draw(self.seed, index)
        clip = draw.one_of(self._visits.clips_at(index))
        count = len(self.clips[clip])
        source = draw.below(count)
        kind = ("none", *CANDIDATES)[draw.below(1 + len(CANDIDATES))] if self.changes else "none"
        known = self.changes.get(kind)
        others = [(source + 1 + draw.below(count - 1)) % count for _ in range(CANDIDATES[kind] if known else 1)]
        driving = _liveliest(known[clip], source, others) if known else others[0]
        frames, flipped = _load(self.clips[clip], [source, driving], self.augmentation, draw)
        return FramePair(frames[0], frames[1], clip, source, driving, flipped)


class ConsecutiveFrames(Dataset[FrameTriple]):
    """Triples for stage 1: a frame I_i and its neighbours at one random gap, I_i-g and I_i+g (Sec. 3.2)."""

    def __init__(
        self,
        clips: Sequence[ClipFrames],
        length: int,
        seed: int,
        gaps: Sequence[int] = GAPS,
        augmentation: AugmentConfig | None = AUGMENTATION,
        repeats: int = REPEATS,
    ):
        self.clips, self.length, self.seed, self.gaps = clips, length, seed, tuple(gaps)
        self.augmentation = augmentation
        self._visits = _Visits(_clips_by_person(clips, min_frames=2 * min(gaps) + 1), repeats, seed)

    @property
    def epoch_length(self) -> int:
        """Samples in which everybody is visited `repeats` times."""
        return self._visits.epoch_length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> FrameTriple:
        """Triple number `index`, the same in every run with this seed; short clips use the gaps that fit."""
        _check_index(index, self.length)
        draw = _Draw(self.seed, index)
        clip = self.clips[draw.one_of(self._visits.clips_at(index))]
        fitting = [gap for gap in self.gaps if 2 * gap < len(clip)]
        gap = fitting[draw.below(len(fitting))]
        middle = gap + draw.below(len(clip) - 2 * gap)
        frames, _ = _load(clip, [middle, middle - gap, middle + gap], self.augmentation, draw)
        return FrameTriple(frames[0], frames[1:])


def _liveliest(known: Float[np.ndarray, "t e"], source: int, others: list[int]) -> int:
    """Of the other frames, the one that differs most from the source."""
    change = np.linalg.norm(known[others] - known[source], axis=1)
    return others[int(np.nan_to_num(change).argmax())]


def _clips_by_person(clips: Sequence[ClipFrames], min_frames: int) -> list[list[int]]:
    """Indices of the clips that are long enough, one list per person, in the order of their names."""
    people: dict[str, list[int]] = {}
    for index, clip in enumerate(clips):
        if len(clip) >= min_frames:
            people.setdefault(clip.clip.identity, []).append(index)
    if not people:
        raise UserError(f"none of {len(clips)} clips has the {min_frames} frames that a sample needs")
    return [people[identity] for identity in sorted(people)]


def _load(
    clip: ClipFrames, indices: list[int], augmentation: AugmentConfig | None, draw: _Draw
) -> tuple[Float[Tensor, "t 3 h w"], bool]:
    pixels = torch.from_numpy(clip.frames[indices])  # t h w 3
    frames = rearrange(pixels, "t h w c -> t c h w").float() / 255
    return augment(frames, draw.torch_generator(), augmentation) if augmentation else (frames, False)


def _check_index(index: int, length: int) -> None:
    if not 0 <= index < length:
        raise IndexError(f"item {index} of {length}")
