"""Stretches of training with one objective each: how long, how large, at what rate."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from dagan.losses.objective import PAPER_OBJECTIVE
from dagan.training.schedule import falling

TENFOLD = 0.1  # the learning rate after a milestone, of that before it


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of stage 2. The paper has a single phase of everything at 256.

    `steps`: 0 when the phase's length is given in `epochs`, until the data are known (`with_steps`). After each of the
    `milestones`, in epochs, the learning rate is a tenth. `frozen`: parts of the model, by their names in it, that
    stay as the phase finds them. `decay`: the last share of the steps, over which the learning rate falls to a
    fiftieth.
    """

    name: str = "all"
    steps: int = 0
    epochs: int | None = None
    milestones: tuple[int, ...] = ()
    batch_size: int = 8
    image_size: int = 256
    learning_rate: float = 2e-4
    objective: tuple[tuple[str, float], ...] = PAPER_OBJECTIVE
    frozen: tuple[str, ...] = ()
    decay: float = 0.0

    def __post_init__(self) -> None:
        check_length(self)

    def learning_rate_at(self, step: int) -> float:
        """Of the phase's own step, from 0: constant between milestones, then linear down."""
        return self.learning_rate * past_milestones(self, step) * falling(step, self.steps, self.decay)


@dataclass(frozen=True, kw_only=True)
class DepthPhase:
    """A stretch of stage 1; `steps`, `epochs` and `milestones` as in `Phase`.

    The learning rate rises over `warm_up` steps and falls over the last share `decay` of them. `gaps` are the distances
    in frames between a frame and its neighbours: 1 is the paper's; heads hardly move in that time, and what does not
    move says nothing about depth.
    """

    name: str = "depth"
    steps: int = 0
    epochs: int | None = None
    milestones: tuple[int, ...] = ()
    batch_size: int = 12
    image_size: int = 256
    learning_rate: float = 1e-4
    warm_up: int = 100
    decay: float = 0.4
    gaps: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        check_length(self)

    def learning_rate_at(self, step: int) -> float:
        """Linear up, constant between milestones, linear down to a fiftieth."""
        risen = min(1.0, (step + 1) / max(1, self.warm_up))
        return self.learning_rate * risen * past_milestones(self, step) * falling(step, self.steps, self.decay)


class Lasting(Protocol):
    """What the two kinds of phase share."""

    @property
    def name(self) -> str: ...
    @property
    def steps(self) -> int: ...
    @property
    def epochs(self) -> int | None: ...
    @property
    def milestones(self) -> tuple[int, ...]: ...
    @property
    def batch_size(self) -> int: ...


AnyPhase = TypeVar("AnyPhase", Phase, DepthPhase)


def check_length(phase: Lasting) -> None:
    """Raises ValueError for a phase without a length, and for milestones without epochs."""
    if phase.steps < 0 or (phase.steps == 0 and phase.epochs is None):
        raise ValueError(f"phase {phase.name} needs steps or epochs, 1 or more")
    if phase.epochs is not None and phase.epochs < 1:
        raise ValueError(f"phase {phase.name} has {phase.epochs} epochs; it needs 1 or more")
    if phase.milestones and phase.epochs is None:
        raise ValueError(f"phase {phase.name} has milestones, which are epochs, and no epochs")


def past_milestones(phase: Lasting, step: int) -> float:
    """The factor of the learning rate: a tenth for each milestone that lies before the step."""
    if phase.epochs is None:
        return 1.0
    passed = sum(step >= phase.steps * milestone / phase.epochs for milestone in phase.milestones)
    return float(TENFOLD**passed)


def with_steps(phases: Sequence[AnyPhase], samples_an_epoch: int) -> tuple[AnyPhase, ...]:
    """The phases with the steps that their epochs take, where those are not known yet."""
    return tuple(phase if phase.steps else replace(phase, steps=steps_of(phase, samples_an_epoch)) for phase in phases)


def steps_of(phase: Lasting, samples_an_epoch: int) -> int:
    """Whole batches only, and at least one."""
    return phase.steps or max(1, (phase.epochs or 0) * samples_an_epoch // phase.batch_size)


def at_size(phases: Sequence[AnyPhase], size: int, written_for: int) -> tuple[AnyPhase, ...]:
    """The phases for training images of another side than the one they are written for: multiples of 32."""
    return tuple(
        replace(phase, image_size=max(32, 32 * round(phase.image_size * size / written_for / 32))) for phase in phases
    )


def extended(phases: Sequence[AnyPhase], steps: int) -> tuple[AnyPhase, ...]:
    """The phases with the last one so many steps longer."""
    *first, last = phases
    return (*first, replace(last, steps=last.steps + steps))
