"""What the loop needs of a stage, and everything that a run goes on with, in and out of its checkpoint."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from torch import nn
from torch.optim import Optimizer
from torch.utils.data import Dataset

from dagan.config import differences, with_new_fields
from dagan.errors import UserError
from dagan.training.checkpoint import load_checkpoint, random_state, restore_random_state
from dagan.training.ema import MovingAverage
from dagan.training.journal import StepReport
from dagan.training.run_folder import code_version
from dagan.training.schedule import next_sample


class Stage(Protocol):
    """What the loop needs of a stage. `averaged` is the module of which a moving average is kept and exported;
    `judged_by` names the number of `panel` by which the best model is kept, least is best, or None."""

    phases: Sequence[Any]
    modules: Mapping[str, nn.Module]
    optimizers: Mapping[str, Optimizer]
    averaged: nn.Module
    judged_by: str | None

    def dataset(self, length: int) -> Dataset[Any]: ...
    def step(self, phase: Any, batch: Any, step: int) -> StepReport: ...
    def panel(self, average: nn.Module, path: Path) -> dict[str, float]: ...
    def export(self, average: nn.Module, path: Path) -> None: ...


class Progress(NamedTuple):
    """How far a run is. `best` is the least value of what it is judged by; `worse`: panels since then."""

    step: int = 0
    best: float | None = None
    best_step: int | None = None
    worse: int = 0
    skipped: int = 0
    is_finished: bool = False


def run_state(stage: Stage, average: MovingAverage, progress: Progress, plain: dict[str, Any]) -> dict[str, Any]:
    """All of a run. Learning rates are functions of the step, and sit in the optimisers."""
    return {
        "progress": progress._asdict(),
        "config": json.dumps(plain),
        "code": code_version(),
        "sampler": {"next_sample": next_sample(stage.phases, progress.step)},
        "random": random_state(),
        "modules": {name: module.state_dict() for name, module in stage.modules.items()},
        "optimizers": {name: optimizer.state_dict() for name, optimizer in stage.optimizers.items()},
        "average": average.model.state_dict(),
        "average_updates": average.num_updates,
    }


def resume(
    stage: Stage, average: MovingAverage, plain: dict[str, Any], folder: Path, *, extends: bool = False
) -> Progress:
    """Fills the stage and the average from the newest checkpoint in the folder; how far the run is.

    `extends`: the last phase may have more steps than the run had, which then is not finished.

    Raises:
        UserError: the checkpoint is of another configuration (the fields are named) or of other networks; there is none
            to extend.
    """
    state = load_checkpoint(folder)
    if state is None:
        if extends:
            raise UserError(f"there is no run in {folder} to extend; leave --extend out")
        return Progress()
    current = json.loads(json.dumps(plain))
    try:
        changed = differences(with_new_fields(json.loads(state["config"]), current), current)
        if extends:
            changed = [line for line in changed if not _is_longer(line, len(stage.phases) - 1)]
        if not changed:
            progress = _restore(stage, average, state)
            return progress._replace(is_finished=False) if extends else progress
    except Exception as error:  # what is missing, or the first misfit: PyTorch and NumPy fail in many ways
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"the checkpoint in {folder} does not fit this run: {reason}; give another -o") from error
    raise UserError(
        f"{folder} holds a run with another configuration (its value != yours): {'; '.join(changed[:5])}; "
        f"give its values, or another -o"
    )


def _is_longer(difference: str, last: int) -> bool:
    """Whether it says that the run's last phase had fewer steps than it has now."""
    lengths = re.fullmatch(rf"(recipe\.)?phase(s\[{last}\])?\.steps: (\d+) != (\d+)", difference)
    return lengths is not None and int(lengths[3]) < int(lengths[4])


def _restore(stage: Stage, average: MovingAverage, state: dict[str, Any]) -> Progress:
    for name, module in stage.modules.items():
        module.load_state_dict(state["modules"][name])
    for name, optimizer in stage.optimizers.items():
        optimizer.load_state_dict(state["optimizers"][name])
    average.model.load_state_dict(state["average"])
    average.num_updates = state["average_updates"]
    restore_random_state(state["random"])
    return Progress(**state["progress"])
