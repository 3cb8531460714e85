"""Which pairs are evaluated: drawn from the clips of a folder, or read from a list.

The pairs are split into jobs, one for each clip. A job draws its pairs when it is asked, in whichever process.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from dagan.data.clips import Clip, find_clips
from dagan.data.pair_lists import ListedPair, read_pair_list
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
from dagan.data.triples import is_triple_folder, read_triples
from dagan.errors import UserError

SELF, CROSS, RECONSTRUCTION = "self-reenactment", "cross-identity", "reconstruction"
SHORT_NAMES = {"self": SELF, "cross": CROSS, "reconstruction": RECONSTRUCTION}
SIZE = 256  # pixels: that of the paper's tables
PAIRS_PER_CLIP = 4
Motion = Literal["given", "absolute", "registered", "from source", "from first", "from best"]
AskedMotion = Literal["given", "absolute", "registered", "relative"]
MOTIONS: dict[Motion, str] = {  # how the driver's motion reaches the source, in words for the report
    "given": "motion as the system made it",
    "absolute": "absolute motion",
    "registered": "absolute motion, background and torso registered from the target frame",
    "from source": "motion relative to the source frame",
    "from first": "motion relative to the driver's first frame",
    "from best": "motion relative to the driver's frame closest to the source in pose and expression",
}
RELATIVE: tuple[Motion, ...] = ("from source", "from first", "from best")  # motion that has a rest frame
GROUP = 32  # listed pairs in one job: so many frames are in memory at once, and are repeated after an interruption


class EvaluationProtocol(NamedTuple):
    """How the pairs were drawn, so that they can be drawn again. `source` names the pair list and its hash, if any."""

    name: str
    pairs_per_clip: int
    min_gap: int
    seed: int
    size: int
    every: int = 1
    source: str = ""
    motion: Motion = "given"

    @property
    def has_truth(self) -> bool:
        """Whether the driving frame shows what the generated image should show."""
        return self.name != CROSS

    def describe(self) -> str:
        """In words, for the report."""
        return f"{self._drawn()}, {MOTIONS[self.motion]}"

    def _drawn(self) -> str:
        if self.source:
            return f"pairs of {self.source}"
        if self.name == SELF:
            return f"at most {self.pairs_per_clip} a clip, at least {self.min_gap} frames apart, seed {self.seed}"
        if self.name == CROSS:
            return f"at most {self.pairs_per_clip} for each source clip, seed {self.seed}"
        frames = "every frame" if self.every == 1 else f"one frame in {self.every}"
        return f"the first frame of each clip, driven by {frames} of the clip"


@runtime_checkable
class Job(Protocol):
    """The pairs of one clip."""

    @property
    def name(self) -> str: ...

    def pairs(self) -> tuple[ReenactmentPair, ...]:
        """The pairs, the same each time. Raises UserError with the reason if there are none."""
        ...


@dataclass(frozen=True, kw_only=True)
class SelfClip:
    """Pairs of two frames of one clip."""

    clip: Clip
    protocol: EvaluationProtocol

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
    """Pairs of a frame of one clip with a frame of clips of other people."""

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
class Listed:
    """Frame pairs of a list, all of one source clip."""

    name: str
    known: tuple[ReenactmentPair, ...]

    def pairs(self) -> tuple[ReenactmentPair, ...]:
        return self.known


def self_reenactment(clips: Sequence[Clip], protocol: EvaluationProtocol) -> list[Job]:
    """One job for each clip (Tables 1 and 2)."""
    return [SelfClip(clip=clip, protocol=protocol) for clip in clips]


def cross_identity(clips: Sequence[Clip], protocol: EvaluationProtocol) -> list[Job]:
    """One job for each source clip (Tables 3 and 4). A clip's partners depend on the other clips."""
    partners = {
        clip: tuple(cross_identity_partners(clip, clips, protocol.pairs_per_clip, protocol.seed)) for clip in clips
    }
    return [CrossClip(clip=clip, partners=partners[clip], seed=protocol.seed) for clip in clips]


def reconstruction(clips: Sequence[Clip], protocol: EvaluationProtocol) -> list[Job]:
    """One job for each clip: its first frame drives all of it (Table 2, FOMM's protocol)."""
    return [WholeVideo(key=clip.name, source=Frame(clip, 0), driving=clip, every=protocol.every) for clip in clips]


DRAW = {SELF: self_reenactment, CROSS: cross_identity, RECONSTRUCTION: reconstruction}


def listed(pairs: Sequence[ListedPair], every: int = 1) -> list[Job]:
    """Jobs of a list: one for each whole video, and groups of frame pairs that share a source clip."""
    jobs: list[Job] = []
    groups: dict[Clip, list[ReenactmentPair]] = {}
    for key, source, driving in pairs:
        if isinstance(driving, Clip):
            jobs.append(WholeVideo(key=key, source=source, driving=driving, every=every))
        else:
            groups.setdefault(source.clip, []).append(ReenactmentPair(key, source, driving))
    for clip, group in groups.items():
        for start in range(0, len(group), GROUP):
            jobs.append(Listed(name=clip.name, known=tuple(group[start : start + GROUP])))
    return jobs


class Selection(NamedTuple):
    """Which pairs of a folder a user asks for.

    `protocol` None means self-reenactment, or for a list what its rows show (cross-identity as soon as one row is of
    two clips). Of whole videos only one frame in `every` is used. `rest` is the frame from which relative motion is
    measured; None: the source frame, or the best one where another person drives.
    """

    root: str
    protocol: str | None = None
    motion: AskedMotion = "given"
    rest: Literal["source", "first", "best"] | None = None
    pair_list: str | None = None
    pairs_per_clip: int = PAIRS_PER_CLIP
    min_gap: int = MIN_GAP
    seed: int = SEED
    size: int = SIZE
    every: int = 1
    limit: int | None = None


class SelectedPairs(NamedTuple):
    """The jobs that give the pairs, how they were drawn, and notes for the report."""

    jobs: tuple[Job, ...]
    protocol: EvaluationProtocol
    notes: tuple[str, ...] = ()


def select_pairs(selection: Selection) -> SelectedPairs:
    """The jobs of a selection.

    Raises:
        UserError: nothing there, a list that does not fit, or motion that does not fit pairs of two people.
    """
    if selection.pair_list is not None:
        return _from_list(selection, selection.pair_list)
    if is_triple_folder(selection.root):
        pairs = read_triples(selection.root, selection.limit)
        name = f"{Path(selection.root).name}/source and driving"
        return SelectedPairs(tuple(listed(pairs, selection.every)), _protocol(selection, "self", name))
    protocol = _protocol(selection, "self")
    jobs = DRAW[protocol.name](find_clips(selection.root), protocol)
    return SelectedPairs(tuple(jobs[: selection.limit]), protocol)


def _from_list(selection: Selection, file: str) -> SelectedPairs:
    found = read_pair_list(file, selection.root, selection.limit)
    own = "self" if found.is_same_clip else "cross"
    if selection.protocol not in (None, own) and own == "cross":
        raise UserError(f"{file} pairs frames of different clips: it cannot be evaluated as {selection.protocol}")
    protocol = _protocol(selection, own, f"{found.name}, sha256 {found.sha256[:12]}")
    notes: tuple[str, ...] = ()
    if found.missing:
        total = len(found.pairs) + len(found.missing)
        notes = (
            f"{len(found.missing)} of {total} rows of {found.name} are not in {selection.root}, "
            f"for example {found.missing[0].path}",
        )
    return SelectedPairs(tuple(listed(found.pairs, selection.every)), protocol, notes)


def _protocol(selection: Selection, usual: str, source: str = "") -> EvaluationProtocol:
    """As the user asked, or the usual one."""
    name = SHORT_NAMES[selection.protocol or usual]
    return EvaluationProtocol(
        name,
        selection.pairs_per_clip,
        selection.min_gap,
        selection.seed,
        selection.size,
        selection.every if name == RECONSTRUCTION or source else 1,
        source,
        _motion(selection, name),
    )


def _motion(selection: Selection, protocol: str) -> Motion:
    """What is asked for, with the usual rest frame of relative motion."""
    if protocol == CROSS and selection.motion == "registered":
        raise UserError("--motion registered needs two frames of one video: use it with --protocol self")
    if selection.motion != "relative":
        return selection.motion
    if protocol == CROSS and selection.rest == "source":
        raise UserError("--rest source needs two frames of one video; with two people use --rest best or first")
    rests: dict[str, Motion] = {"source": "from source", "first": "from first", "best": "from best"}
    return rests[selection.rest or ("best" if protocol == CROSS else "source")]
