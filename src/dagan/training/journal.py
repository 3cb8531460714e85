"""What a run logs: metrics.jsonl always, TensorBoard and Weights & Biases when asked for.

Accelerate's trackers do not take back what a killed run logged after its last checkpoint; these do.
"""

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from dagan.errors import UserError
from dagan.files import write_text
from dagan.training.distributed import World

METRICS = "metrics.jsonl"
DIGITS = 6


class StepReport(NamedTuple):
    """What a step says of itself, without having waited for the device.

    `terms`: detached scalars, unweighted; `finite`: whether the step was taken, a bool on the device; `weights`: of the
    terms that are summed into the loss.
    """

    terms: dict[str, Tensor]
    finite: Tensor
    weights: Mapping[str, float] = {}


class Meter:
    """Means of terms over the steps since the last reading. Sums stay on the device until they are read."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.clear()

    def clear(self) -> None:
        self.names: tuple[str, ...] = ()
        self.weights: Mapping[str, float] = {}
        self.sums: Tensor | None = None
        self.steps, self.waited, self.since = 0, 0.0, time.monotonic()

    def add(self, report: StepReport, waited: float) -> None:
        """One step, and the seconds that it waited for its data. A step that was not taken counts for the time only."""
        values = torch.stack([value.detach().double() for value in report.terms.values()])
        counted = torch.where(report.finite, torch.cat([values, values.new_ones(1)]), 0.0)
        self.sums = counted if self.sums is None else self.sums + counted
        self.names, self.weights = tuple(report.terms), report.weights
        self.steps, self.waited = self.steps + 1, self.waited + waited

    def read(self, batch_size: int) -> dict[str, float]:
        """Means over all processes, weighted ones too, samples/s, and the share of time spent waiting for data.

        All processes must read at once. Terms are left out when no step was taken.
        """
        assert self.sums is not None
        *sums, count = self.world.mean(self.sums.cpu()).tolist()
        means = {name: value / count for name, value in zip(self.names, sums, strict=True)} if count else {}
        weighted = {f"weighted_{name}": weight * means[name] for name, weight in self.weights.items() if name in means}
        seconds = time.monotonic() - self.since
        speed = {"samples_per_second": self.steps * batch_size / seconds, "data_wait": self.waited / seconds}
        self.clear()
        return means | weighted | speed


def gpu_memory(device: torch.device) -> dict[str, float]:
    """The most that tensors have taken on the GPU since the last call, in GiB; empty on a CPU."""
    if device.type != "cuda":
        return {}
    peak = torch.cuda.max_memory_allocated(device) / 2**30
    torch.cuda.reset_peak_memory_stats(device)
    return {"gpu_memory_gib": peak}


class Sink(Protocol):
    """One place where a run is written down. Steps count from 1: as many as have been made."""

    def scalars(self, step: int, phase: str, values: Mapping[str, float]) -> None: ...
    def picture(self, step: int, path: Path) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class JournalConfig:
    """Where a run is written down besides metrics.jsonl; `wandb` is a project's name."""

    tensorboard: bool = False
    wandb: str | None = None


def open_sinks(config: JournalConfig, folder: Path, start: int, plain_config: Mapping[str, Any]) -> list[Sink]:
    """Every sink, with what a killed run wrote after step `start` taken out. Raises UserError for missing packages."""
    sinks: list[Sink] = [JsonLines(folder / METRICS, start)]
    if config.tensorboard:
        sinks.append(TensorBoard(folder / "tensorboard", start))
    if config.wandb is not None:
        sinks.append(WeightsAndBiases(config.wandb, folder, plain_config))
    return sinks


class JsonLines:
    """One JSON object a line."""

    def __init__(self, path: Path, start: int) -> None:
        self.path = path
        if path.exists():
            self._forget_after(start)

    def _forget_after(self, start: int) -> None:
        """Drops the lines of steps that will be made again, and what a full disk or a power cut left half written."""
        lines = self.path.read_text(errors="replace").splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and 0 <= _step_of(line) <= start]
        if len(kept) < len(lines):
            write_text(self.path, "".join(kept))

    def scalars(self, step: int, phase: str, values: Mapping[str, float]) -> None:
        line = {"step": step, "time": round(time.time(), 1), "phase": phase}
        with self.path.open("a") as file:
            file.write(json.dumps(line | {name: round(value, DIGITS) for name, value in values.items()}) + "\n")

    def picture(self, step: int, path: Path) -> None:
        """The panel lies beside the file already."""

    def close(self) -> None:
        """Every line was closed as it was written."""


def _step_of(line: str) -> int:
    """-1 for a line that is damaged."""
    try:
        return int(json.loads(line)["step"])
    except (ArithmeticError, KeyError, RecursionError, TypeError, ValueError):
        return -1


class TensorBoard:
    """Curves and panels for `tensorboard --logdir RUN`."""

    def __init__(self, folder: Path, start: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UserError("TensorBoard is not installed; pip install 'dagan[train]', or --no-tensorboard") from error
        self.writer = SummaryWriter(str(folder), purge_step=start + 1)

    def scalars(self, step: int, phase: str, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(group_of(name), value, step)
        self.writer.flush()

    def picture(self, step: int, path: Path) -> None:
        import numpy as np
        from PIL import Image

        pixels = np.asarray(Image.open(path).convert("RGB"))
        self.writer.add_image("panel", pixels, step, dataformats="HWC")

    def close(self) -> None:
        self.writer.close()


def group_of(name: str) -> str:
    """TensorBoard's page of a scalar: `weighted/perceptual`, `validation/l1`, `rate/generator`, `loss/perceptual`."""
    for prefix, page in (("weighted_", "weighted"), ("validation_", "validation"), ("learning_rate_", "rate")):
        if name.startswith(prefix):
            return f"{page}/{name.removeprefix(prefix)}"
    machine = {"samples_per_second", "data_wait", "gpu_memory_gib", "skipped_steps"}
    kind = "gradient" if name.endswith("gradient") else "machine" if name in machine else "loss"
    return f"{kind}/{name}"


class WeightsAndBiases:
    """The same curves and panels on wandb.ai, or in the run folder when WANDB_MODE=offline; a resume goes on there."""

    def __init__(self, project: str, folder: Path, plain_config: Mapping[str, Any]) -> None:
        try:
            import wandb
        except ImportError as error:
            raise UserError("Weights & Biases is not installed; pip install wandb, or leave --wandb out") from error
        self.wandb = wandb
        known = folder / "wandb_id"
        if not known.exists():
            known.write_text(uuid.uuid4().hex[:12])
        self.run = wandb.init(
            project=project,
            name=folder.resolve().name,
            id=known.read_text(),
            resume="allow",
            dir=str(folder),
            config=dict(plain_config),
        )

    def scalars(self, step: int, phase: str, values: Mapping[str, float]) -> None:
        self.run.log({group_of(name): value for name, value in values.items()} | {"phase": phase}, step=step)

    def picture(self, step: int, path: Path) -> None:
        self.run.log({"panel": self.wandb.Image(str(path))}, step=step)

    def close(self) -> None:
        self.run.finish()
