"""The work of an evaluation in pieces: each job gives the pairs of one clip when it is asked, in whichever process."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from dagan.data.clips import Clip
from dagan.data.pair_lists import VideoPair
from dagan.data.protocols import (
    MIN_GAP,
    SEED,
    Frame,
    ReenactmentPair,
    clip_pairs,
    count_frames,
    cross_identity_pair,
    cross_identity_partners,
)
from dagan.errors import UserError

SELF, CROSS, RECONSTRUCTION = "self-reenactment", "cross-identity", "reconstruction"
SIZE = 256  # pixels: that of the paper's tables
PAIRS_PER_CLIP = 4
RestFrames = Literal["", "first", "best"]  # the rest frame of relative motion; "": motion is absolute
GROUP = 32  # listed pairs in one job: that many frames are in memory, and are done again after an interruption


class PairProtocol(NamedTuple):
    """How the pairs were drawn: enough to draw them again. `source` names a pair list and its hash, if one was used."""

    name: str
    pairs_per_clip: int
    min_gap: int
    seed: int
    size: int
    every: int = 1
    source: str = ""
    rest: RestFrames = ""

    @property
    def has_truth(self) -> bool:
        """Whether the driving frame shows what the generated image should."""
        return self.name != CROSS

    def describe(self) -> str:
        """In words, for the report."""
        if self.source:
            return f"pairs of {self.source}"
        if self.name == SELF:
            return f"at most {self.pairs_per_clip} a clip, at least {self.min_gap} frames apart, seed {self.seed}"
        if self.name == CROSS:
            return f"at most {self.pairs_per_clip} for each source clip, seed {self.seed}{RELATIVE_TO[self.rest]}"
        return "the first frame of each clip drives " + ("all of it" if self.every == 1 else f"every {self.every}th")


RELATIVE_TO: dict[RestFrames, str] = {
    "": "",
    "first": ", motion relative to the driver's first frame",
    "best": ", motion relative to the driver's frame closest to the source in pose and expression",
}


@runtime_checkable
class Job(Protocol):
    """One clip's work."""

    @property
    def name(self) -> str: ...

    def pairs(self) -> tuple[ReenactmentPair, ...]:
        """The pairs, the same each time. Raises UserError: why there are none."""
        ...


@dataclass(frozen=True, kw_only=True)
class SelfClip:
    """Pairs of two frames of one clip."""

    clip: Clip
    protocol: PairProtocol

    @property
    def name(self) -> str:
        return self.clip.name

    def pairs(self) -> tuple[ReenactmentPair, ...]:
        num_frames, protocol = count_frames(self.clip), self.protocol
        drawn = clip_pairs(self.clip, num_frames, protocol.pairs_per_clip, protocol.min_gap, protocol.seed)
        if not drawn:
            raise UserError(f"{num_frames} frames; at least {protocol.min_gap + 1} are needed")
        return tuple(drawn)


@dataclass(frozen=True, kw_only=True)
class CrossClip:
    """Pairs of a frame of one clip and a frame of each of some clips of other people."""

    clip: Clip
    partners: tuple[Clip, ...]
    seed: int

    @property
    def name(self) -> str:
        return self.clip.name

    def pairs(self) -> tuple[ReenactmentPair, ...]:
        if not self.partners:
            raise UserError("no clip of another person")
        return tuple(cross_identity_pair(self.clip, partner, self.seed) for partner in self.partners)


@dataclass(frozen=True, kw_only=True)
class WholeVideo:
    """A source frame and every `every`th frame of a driving clip, the first included (as FOMM reconstructs)."""

    key: str
    source: Frame
    driving: Clip
    every: int = 1

    @property
    def name(self) -> str:
        return self.driving.name

    def pairs(self) -> tuple[ReenactmentPair, ...]:
        indices = range(0, count_frames(self.driving), self.every)
        if not indices:
            raise UserError("no frames")
        return tuple(ReenactmentPair(self.key, self.source, Frame(self.driving, index)) for index in indices)


@dataclass(frozen=True, kw_only=True)
class PairGroup:
    """Pairs that are known beforehand, of one source clip."""

    name: str
    known: tuple[ReenactmentPair, ...]

    def pairs(self) -> tuple[ReenactmentPair, ...]:
        return self.known


def self_reenactment(clips: Sequence[Clip], protocol: PairProtocol) -> list[Job]:
    """One job for each clip (Tables 1 and 2)."""
    return [SelfClip(clip=clip, protocol=protocol) for clip in clips]


def cross_identity(clips: Sequence[Clip], protocol: PairProtocol) -> list[Job]:
    """One job for each source clip (Tables 3 and 4). A clip's partners depend on the other clips."""
    partners = {
        clip: tuple(cross_identity_partners(clip, clips, protocol.pairs_per_clip, protocol.seed)) for clip in clips
    }
    return [CrossClip(clip=clip, partners=partners[clip], seed=protocol.seed) for clip in clips]


def reconstruction(clips: Sequence[Clip], protocol: PairProtocol) -> list[Job]:
    """One job for each clip: its first frame drives all of it (Table 2, FOMM's protocol)."""
    return [WholeVideo(key=clip.name, source=Frame(clip, 0), driving=clip, every=protocol.every) for clip in clips]


def self_protocol(
    pairs_per_clip: int = PAIRS_PER_CLIP, min_gap: int = MIN_GAP, seed: int = SEED, size: int = SIZE
) -> PairProtocol:
    """Self-reenactment with the usual values."""
    return PairProtocol(SELF, pairs_per_clip, min_gap, seed, size)


DRAW = {SELF: self_reenactment, CROSS: cross_identity, RECONSTRUCTION: reconstruction}


def listed(pairs: Sequence[ReenactmentPair | VideoPair], every: int = 1) -> list[Job]:
    """Jobs of a list: one for each whole video, and groups of frame pairs that share a source clip."""
    jobs: list[Job] = []
    groups: dict[Clip, list[ReenactmentPair]] = {}
    for pair in pairs:
        if isinstance(pair, VideoPair):
            jobs.append(WholeVideo(key=pair.key, source=pair.source, driving=pair.driving, every=every))
        else:
            groups.setdefault(pair.source.clip, []).append(pair)
    for clip, group in groups.items():
        for start in range(0, len(group), GROUP):
            jobs.append(PairGroup(name=clip.name, known=tuple(group[start : start + GROUP])))
    return jobs
