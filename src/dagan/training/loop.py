"""The loop both stages share: steps in their order, what is written down and kept of them, and an exact resume."""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from dagan.training.checkpoint import save_checkpoint, seed_everything
from dagan.training.distributed import ALONE, Consensus, World, naming_lost_peers
from dagan.training.ema import MovingAverage
from dagan.training.guard import Guard
from dagan.training.journal import JournalConfig, Meter, Sink, gpu_memory, open_sinks
from dagan.training.run_folder import describe_start, record_start, write_json
from dagan.training.schedule import LoaderConfig, PhaseLike, batches, borders, check_split, timed
from dagan.training.state import Stage, resume, run_state
from dagan.training.stopping import Stopper

MODEL, BEST_MODEL = "model.safetensors", "best.safetensors"


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How a run is kept. Numbers are steps unless said otherwise.

    A checkpoint is written every `checkpoint_seconds`, every `checkpoint_every` steps when given, when the run is the
    best so far and when it ends; the newest `keep` and the best stay. `max_skipped` steps in a row whose gradients are
    not finite end the run, and so do `patience` panels in a row that were not better than the best one before, or
    `minutes` since this start: what is done by then is judged and kept. `extends`: a finished run is made longer.
    """

    seed: int = 0
    log_every: int = 20
    panel_every: int = 500
    checkpoint_seconds: float = 300.0
    checkpoint_every: int | None = None
    keep: int = 3
    workers: int = 1
    ema_decay: float = 0.999
    max_skipped: int = 10
    patience: int | None = None
    minutes: float = math.inf
    extends: bool = False
    journal: JournalConfig = JournalConfig()


def train(
    stage: Stage,
    config: LoopConfig,
    plain_config: dict[str, Any],
    folder: Path,
    world: World = ALONE,
    data: dict[str, Any] | None = None,
) -> Path:
    """Run all phases, resuming from `folder` when it holds a checkpoint; gives the exported model's path.

    Every step seeds all random generators from (seed, step) and takes its samples by index, so a resumed run makes the
    same steps as one that was never stopped, and several processes make the steps of one. SIGTERM and Ctrl-C save a
    checkpoint and end the run. Only the first process writes. `data` says what is trained on, for run.json.

    Raises:
        UserError: the folder holds a run with another configuration (the fields are named), a batch does not split,
            gradients stay not finite, or another process of the run is gone.
        KeyboardInterrupt: stopped; the checkpoint is written.
    """
    check_split(stage.phases, world.size)
    run = _Run(stage, config, plain_config, folder, world)
    if not run.is_over:
        run.open(data)
        try:
            with naming_lost_peers(), Stopper() as stopper:
                run.go(stopper)
        finally:
            run.close()
    return folder / MODEL


class _Run:
    """One start of a run, from its checkpoint on."""

    def __init__(self, stage: Stage, config: LoopConfig, plain: dict[str, Any], folder: Path, world: World) -> None:
        self.stage, self.config, self.plain, self.folder, self.world = stage, config, plain, folder, world
        self.borders = borders(stage.phases)
        self.total = max(self.borders)
        self.average = MovingAverage(stage.averaged, config.ema_decay)
        self.progress = resume(stage, self.average, plain, folder, extends=config.extends)
        self.meter, self.sinks, self.saved_at = Meter(world), list[Sink](), time.monotonic()
        self.deadline = self.saved_at + 60 * config.minutes
        self.guard = Guard(config.max_skipped, folder, world, self.progress.skipped)

    @property
    def is_over(self) -> bool:
        return self.progress.is_finished or self.progress.step >= self.total

    def open(self, data: dict[str, Any] | None) -> None:
        """What the first process writes before the first step."""
        start = self.progress.step
        if self.world.is_main:
            if start == 0 or self.config.extends:
                write_json(self.folder / "config.json", self.plain)
            record_start(self.folder, describe_start(self.world, start), data)
            self.sinks = open_sinks(self.config.journal, self.folder, start, self.plain)
        silent = None if self.world.is_main else True
        self.bar = tqdm(total=self.total, initial=start, unit="step", disable=silent)

    def close(self) -> None:
        self.bar.close()
        for sink in self.sinks:
            sink.close()

    def go(self, stopper: Stopper) -> None:
        """Steps until the end, or until somebody asks to stop."""
        consensus, clock = Consensus(self.world), Consensus(self.world)
        for (step, phase, batch), waited in self._batches():
            seed_everything(self.config.seed * 1_000_003 + step)
            report = self.stage.step(phase, batch, step)
            self.guard.see(step, report.finite, batch)
            self.meter.add(report, waited)
            stop = consensus.asked(stopper.asked)
            over = self.config.minutes < math.inf and clock.asked(time.monotonic() > self.deadline)
            self.progress = self.progress._replace(step=step + 1)
            if self.world.is_main:
                self.average.update(self.stage.averaged)
                self.bar.update()
            self._follow(phase, stop, over)
            if stop:
                self.world.wait()  # the launcher ends the others when one process is gone, the one that saves too
                raise stopper.ending
            if self.progress.is_finished:
                return

    def _batches(self) -> Iterator[tuple[tuple[int, Any, Any], float]]:
        loader = LoaderConfig(workers=self.config.workers, pinned=self.world.device.type == "cuda")
        start, world = self.progress.step, self.world
        return timed(batches(self.stage.dataset, self.stage.phases, start, loader, world.rank, world.size))

    def _follow(self, phase: PhaseLike, stop: bool, over: bool) -> None:
        """Whatever is due after a step: a line in the log, a panel, a checkpoint."""
        done, config = self.progress.step, self.config
        last = over or done == self.total
        if self.meter.steps == config.log_every or stop or last or done in self.borders:
            self._log(phase)
        improved = (done % config.panel_every == 0 or last) and self._look(phase)
        if over:
            self.progress = self.progress._replace(is_finished=True)
        by_count = config.checkpoint_every is not None and done % config.checkpoint_every == 0
        by_clock = time.monotonic() - self.saved_at > config.checkpoint_seconds
        if self.world.is_main and (stop or last or improved or by_count or by_clock or self.progress.is_finished):
            self._save(improved)

    def _log(self, phase: PhaseLike) -> None:
        self.guard.settle()
        values = self.meter.read(phase.batch_size)
        optimizers = self.stage.optimizers.items()
        rates = {f"learning_rate_{name}": optimizer.param_groups[0]["lr"] for name, optimizer in optimizers}
        self._write(phase, values | rates | gpu_memory(self.world.device) | {"skipped_steps": self.guard.skipped})
        loss, rate = values.get("total", float("nan")), values["samples_per_second"]
        self.bar.set_postfix(phase=phase.name, loss=f"{loss:.3f}", rate=f"{rate:.1f}/s")

    def _write(self, phase: PhaseLike, values: Mapping[str, float]) -> None:
        for sink in self.sinks:
            sink.scalars(self.progress.step, phase.name, values)

    def _look(self, phase: PhaseLike) -> bool:
        """Draws and measures; whether the run is now the best so far."""
        name, value = self.stage.judged_by, float("inf")
        if self.world.is_main:
            path = self.folder / f"panel_{self.progress.step:07d}.png"
            numbers = self.stage.panel(self.average.model, path)
            self._write(phase, numbers)
            for sink in self.sinks:
                sink.picture(self.progress.step, path)
            value = numbers[name] if name is not None else value
        if name is None:
            return False
        value = float(self.world.from_main(torch.tensor(value, dtype=torch.float64)))
        if value < (self.progress.best if self.progress.best is not None else float("inf")):
            self.progress = self.progress._replace(best=value, best_step=self.progress.step, worse=0)
            return True
        worse = self.progress.worse + 1
        enough = self.config.patience is not None and worse >= self.config.patience
        self.progress = self.progress._replace(worse=worse, is_finished=enough)
        return False

    def _save(self, improved: bool) -> None:
        """In this order: a run that is killed between the two makes its last steps again, and its models."""
        for name in (MODEL, *([BEST_MODEL] if improved else [])):
            self.stage.export(self.average.model, self.folder / name)
        progress = self.progress._replace(skipped=self.guard.skipped)
        state = run_state(self.stage, self.average, progress, self.plain)
        save_checkpoint(self.folder, progress.step, state, self.config.keep, progress.best_step)
        self.saved_at = time.monotonic()
