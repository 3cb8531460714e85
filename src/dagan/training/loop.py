"""The loop both stages share: phases, precision, log, panels, checkpoints, resume, graceful stop."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from dagan.config import differences, with_new_fields
from dagan.errors import UserError
from dagan.training.checkpoint import load_checkpoint, save_checkpoint
from dagan.training.distributed import World, join_world
from dagan.training.ema import MovingAverage


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How a run is kept. Numbers are steps unless said otherwise."""

    seed: int = 0
    log_every: int = 20
    panel_every: int = 500
    checkpoint_seconds: float = 300.0
    workers: int = 1
    ema_decay: float = 0.999


class PhaseLike(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def steps(self) -> int: ...
    @property
    def batch_size(self) -> int: ...


class Stage(Protocol):
    """What the loop needs of a stage. `averaged` is the module of which a moving average is kept and exported."""

    phases: Sequence[Any]
    modules: Mapping[str, nn.Module]
    optimizers: Mapping[str, Optimizer]
    averaged: nn.Module

    def dataset(self, length: int) -> Dataset[Any]: ...
    def step(self, phase: Any, batch: Any, step: int) -> dict[str, Tensor]: ...
    def panel(self, average: nn.Module, path: Path) -> dict[str, float]: ...
    def export(self, average: nn.Module, path: Path) -> None: ...


def train(stage: Stage, config: LoopConfig, plain_config: dict[str, Any], folder: Path) -> Path:
    """Run all phases, resuming from `folder` when it holds a checkpoint; gives the exported model's path.

    Every step seeds PyTorch from (seed, step) and takes its samples by index, so a resumed run makes the same steps
    as one that was never stopped. SIGTERM and Ctrl-C save a checkpoint and end the run. Under `torchrun` the processes
    share each batch; the first one writes, and its running statistics of batch norm are the ones kept.

    Raises:
        UserError: the folder cannot be written, or holds a run with another configuration (the fields are named).
        KeyboardInterrupt: stopped; the checkpoint is written.
    """
    world = join_world()
    for phase in stage.phases:
        if phase.batch_size % world.size:
            raise UserError(f"phase {phase.name}: a batch of {phase.batch_size} does not split over {world.size}")
    average = MovingAverage(stage.averaged, config.ema_decay)
    start = _resume(stage, average, plain_config, folder, world)
    total = sum(phase.steps for phase in stage.phases)
    log = _Log(folder / "metrics.jsonl", config.log_every)
    silent = None if world.is_main else True
    saved_at = time.monotonic()
    with _Stopper() as stopper, tqdm(total=total, initial=start, unit="step", disable=silent) as bar:
        for step, phase, batch in _batches(stage, config, start, world):
            torch.manual_seed((config.seed * 1_000_003 + step) * world.size + world.rank)
            terms = stage.step(phase, batch, step)
            stop = world.any(stopper.asked)
            done = step + 1
            if world.is_main:
                average.update(stage.averaged)
                log.add(step, phase, terms, bar)
                bar.update()
                if done % config.panel_every == 0 or done == total:
                    panel = stage.panel(average.model, folder / f"panel_{done:07d}.png")
                    log.write(step, {"phase": phase.name, **panel})
                if stop or done == total:
                    log.flush(step, phase, bar)
                if stop or done == total or time.monotonic() - saved_at > config.checkpoint_seconds:
                    # in this order: a run that is killed between the two makes its last steps again, and its model
                    stage.export(average.model, folder / "model.safetensors")
                    save_checkpoint(folder, _state(stage, average, plain_config, done))
                    saved_at = time.monotonic()
            if stop:
                world.wait()  # the launcher ends the others when one process is gone, the one that saves too
                raise KeyboardInterrupt
    return folder / "model.safetensors"


def prepare_folder(folder: Path) -> None:
    """Make the run folder. Raises UserError when it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable.{os.getpid()}"  # several processes may look at once
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"cannot write the run folder {folder}: {error.strerror}; give another with -o") from error


def _batches(stage: Stage, config: LoopConfig, start: int, world: World) -> Iterator[tuple[int, Any, Any]]:
    """(step, phase, batch) from `start` on; sample i of the run is the same sample however the run was cut."""
    first_step = first_sample = 0
    for phase in stage.phases:
        skipped = min(max(start - first_step, 0), phase.steps)
        begin = first_sample + skipped * phase.batch_size
        end = first_sample + phase.steps * phase.batch_size
        if begin < end:
            loader = DataLoader(
                stage.dataset(end),
                sampler=range(begin + world.rank, end, world.size),
                batch_size=phase.batch_size // world.size,
                num_workers=config.workers,
                prefetch_factor=4 if config.workers else None,
                worker_init_fn=_ignore_stop_signals,
            )
            for offset, batch in enumerate(loader):
                yield first_step + skipped + offset, phase, batch
        first_step, first_sample = first_step + phase.steps, end


def _ignore_stop_signals(worker: int) -> None:
    """A signal to the whole process group must not kill the loaders under a trainer that is saving."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def _state(stage: Stage, average: MovingAverage, plain_config: dict[str, Any], step: int) -> dict[str, Any]:
    return {
        "step": step,
        "config": json.dumps(plain_config),
        "modules": {name: module.state_dict() for name, module in stage.modules.items()},
        "optimizers": {name: optimizer.state_dict() for name, optimizer in stage.optimizers.items()},
        "average": average.model.state_dict(),
        "average_updates": average.num_updates,
    }


def _resume(stage: Stage, average: MovingAverage, plain_config: dict[str, Any], folder: Path, world: World) -> int:
    state = load_checkpoint(folder)
    if state is None:
        if world.is_main:
            (folder / "config.json").write_text(json.dumps(plain_config, indent=2) + "\n")
        return 0
    current = json.loads(json.dumps(plain_config))
    try:
        changed = differences(with_new_fields(json.loads(state["config"]), current), current)
        if not changed:
            _restore(stage, average, state)
            return int(state["step"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:  # what is missing, or the first misfit
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"the checkpoint in {folder} does not fit this run: {reason}; give another -o") from error
    raise UserError(f"{folder} holds a run with another configuration: {'; '.join(changed[:5])}")


def _restore(stage: Stage, average: MovingAverage, state: dict[str, Any]) -> None:
    for name, module in stage.modules.items():
        module.load_state_dict(state["modules"][name])
    for name, optimizer in stage.optimizers.items():
        optimizer.load_state_dict(state["optimizers"][name])
    average.model.load_state_dict(state["average"])
    average.num_updates = state["average_updates"]


class _Log:
    """metrics.jsonl: means over `every` steps of each term, with samples/s."""

    def __init__(self, path: Path, every: int):
        self.path, self.every = path, every
        self.sums: dict[str, float] = {}
        self.steps, self.samples, self.since = 0, 0, time.monotonic()

    def add(self, step: int, phase: PhaseLike, terms: Mapping[str, Tensor], bar: Any) -> None:
        for name, value in terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value)
        self.steps += 1
        self.samples += phase.batch_size
        if self.steps == self.every:
            self.flush(step, phase, bar)

    def flush(self, step: int, phase: PhaseLike, bar: Any) -> None:
        """Writes the means of the steps since the last line, if there were any."""
        if not self.steps:
            return
        means = {name: value / self.steps for name, value in self.sums.items()}
        rate = self.samples / (time.monotonic() - self.since)
        self.write(step, {"phase": phase.name, **means, "samples_per_second": rate})
        bar.set_postfix(phase=phase.name, loss=f"{means.get('total', 0.0):.3f}", rate=f"{rate:.1f}/s")
        self.sums, self.steps, self.samples, self.since = {}, 0, 0, time.monotonic()

    def write(self, step: int, record: dict[str, Any]) -> None:
        line = {"step": step + 1, "time": round(time.time(), 1)}
        line |= {name: round(value, 6) if isinstance(value, float) else value for name, value in record.items()}
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")


class _Stopper:
    """Turns SIGTERM and Ctrl-C into a flag that the loop reads between steps (main thread only)."""

    def __init__(self) -> None:
        self.asked = False
        self.previous: dict[int, Any] = {}

    def __enter__(self) -> "_Stopper":
        if threading.current_thread() is threading.main_thread():
            self.previous = {name: signal.signal(name, self._ask) for name in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for name, handler in self.previous.items():
            signal.signal(name, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
