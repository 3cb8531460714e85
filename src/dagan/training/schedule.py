"""Which samples each step takes: a function of the step alone, whatever the processes and however a run was cut."""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch.utils.data import DataLoader, Dataset

from dagan.errors import UserError
from dagan.training.stopping import ignore_signals


class PhaseLike(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def steps(self) -> int: ...
    @property
    def batch_size(self) -> int: ...


def check_split(phases: Sequence[PhaseLike], size: int, accumulate: int = 1) -> None:
    """Raises UserError when a phase's batch cannot be shared out evenly."""
    for phase in phases:
        if phase.batch_size % (size * accumulate):
            parts = f"{accumulate} parts (--accumulate)" if accumulate > 1 else ""
            shares = f"{size} processes" if size > 1 else ""
            over = " x ".join(filter(None, (shares, parts)))
            raise UserError(
                f"phase {phase.name}: a batch of {phase.batch_size} does not split over {over}; give --batch-size"
            )


def borders(phases: Sequence[PhaseLike]) -> tuple[int, ...]:
    """The steps with which the phases end."""
    return tuple(itertools.accumulate(phase.steps for phase in phases))


def next_sample(phases: Sequence[PhaseLike], step: int) -> int:
    """The index of the first sample that has not been used after so many steps."""
    sample = 0
    for phase in phases:
        made = min(step, phase.steps)
        sample, step = sample + made * phase.batch_size, step - made
    return sample


def step_of_phase(phases: Sequence[PhaseLike], step: int) -> int:
    """How many steps of its own phase were made before `step`."""
    start = max((border for border in borders(phases) if border <= step), default=0)
    return step - start


def falling(step: int, steps: int, decay: float) -> float:
    """A factor of the learning rate: 1, then linear down to a fiftieth over the last share `decay` of `steps`."""
    left = (steps - step) / max(1.0, decay * steps)
    return min(1.0, max(0.02, left))


@dataclass(frozen=True, kw_only=True)
class LoaderConfig:
    """How samples are loaded: by so many processes, into memory that a GPU reads from directly."""

    workers: int = 1
    pinned: bool = False
    prefetched: int = 4  # batches that each loading process is ahead


def batches(
    dataset: Callable[[int], Dataset[Any]],
    phases: Sequence[PhaseLike],
    start: int,
    config: LoaderConfig,
    rank: int,
    size: int,
) -> Iterator[tuple[int, Any, Any]]:
    """(step, phase, batch) from step `start` on. `dataset` gives the samples below an index.

    Of `size` processes, this one takes every `size`-th sample from its `rank` on.
    """
    first_step = 0
    for phase in phases:
        first = max(start, first_step)
        begin, end = next_sample(phases, first), next_sample(phases, first_step + phase.steps)
        if begin < end:
            loader = DataLoader(
                dataset(end),
                sampler=range(begin + rank, end, size),
                batch_size=phase.batch_size // size,
                num_workers=config.workers,
                prefetch_factor=config.prefetched if config.workers else None,
                pin_memory=config.pinned,
                worker_init_fn=ignore_signals,
            )
            yield from ((step, phase, batch) for step, batch in enumerate(loader, first))
        first_step += phase.steps


def timed(batches: Iterator[tuple[int, Any, Any]]) -> Iterator[tuple[tuple[int, Any, Any], float]]:
    """Each batch with the seconds that it was waited for."""
    while True:
        since = time.monotonic()
        batch = next(batches, None)
        if batch is None:
            return
        yield batch, time.monotonic() - since
