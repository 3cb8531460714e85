"""One row of Table 4 trained as all others are: the same start, data, order of the data, losses and budget."""

import re
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from dagan.config import to_plain
from dagan.data.clips import ClipFrames
from dagan.errors import UserError
from dagan.losses.objective import PAPER_OBJECTIVE
from dagan.losses.perceptual import PerceptualLoss
from dagan.models.depth import FaceDepthConfig, FaceDepthNet
from dagan.models.discriminator import DiscriminatorConfig
from dagan.models.talking_head import TalkingHead, TalkingHeadConfig
from dagan.presets import BASELINE, FOMM, LITE_BASELINE, LITE_FOMM, nine_variants
from dagan.training.generation_stage import GenerationNetworks, Phase
from dagan.training.journal import StepReport
from dagan.training.loop import MODEL, LoopConfig, train
from dagan.training.stages import GenerationStage

SECONDS = {"s": 1, "m": 60, "h": 3600}
ANNEALED = 0.2  # the last share of a budget, at a tenth of the learning rate: less noise in what is compared
ANNEALED_RATE = 0.1
JACOBIAN_TERM = ("jacobian_equivariance", 10.0)  # L_E's other half, for the rows that have jacobians (FOMM)
MOST_STEPS = 10_000_000  # of a run that is stopped by the clock
NUM_LOGS, NUM_PANELS = 50, 10  # points of a learning curve, and looks at the held-out people, in a budget of steps
LITE_OBJECTIVE = (  # no discriminator: within an evening on a CPU it costs more than it brings
    ("perceptual", 10.0),
    ("reconstruction", 200.0),
    ("equivariance", 10.0),
    ("keypoint_distance", 10.0),
)
Widths = Literal["lite", "paper"]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Exact steps, or seconds inside training steps (loading, panels and checkpoints not counted): one of the two."""

    steps: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.seconds is None):
            raise ValueError("a budget is either steps or seconds")

    def __str__(self) -> str:
        return f"{self.steps} steps" if self.steps is not None else f"{self.seconds:g} s of training steps"


def parse_budget(text: str) -> Budget:
    """`400-steps`, `5k-steps`, `90s`, `20m` or `1.5h`. Raises UserError for anything else, and for nothing."""
    steps = re.fullmatch(r"([\d.]+)(k?)-steps", text)
    clock = re.fullmatch(r"([\d.]+)([smh])", text)
    try:
        if steps and (count := round(float(steps[1]) * (1000 if steps[2] else 1))) > 0:
            return Budget(steps=count)
        if clock and (seconds := float(clock[1]) * SECONDS[clock[2]]) > 0:
            return Budget(seconds=seconds)
    except ValueError:
        pass
    raise UserError(f"--budget {text}: expected a time such as 20m or 1.5h, or steps such as 400-steps or 5k-steps")


@dataclass(frozen=True, kw_only=True)
class AblationConfig:
    """What is equal in all rows. `WIDTHS` has the values that fit each width."""

    widths: Widths = "lite"
    budget: Budget
    image_size: int = 128
    batch_size: int = 8
    learning_rate: float = 4e-4
    objective: tuple[tuple[str, float], ...] = LITE_OBJECTIVE
    discriminator: DiscriminatorConfig = DiscriminatorConfig(width=32, cap=256)
    perceptual_side: int | None = 64


WIDTHS: Mapping[Widths, AblationConfig] = {
    "lite": AblationConfig(budget=Budget(steps=2_000)),
    "paper": AblationConfig(
        widths="paper",
        budget=Budget(steps=100_000),
        image_size=256,
        batch_size=4,
        learning_rate=2e-4,
        objective=PAPER_OBJECTIVE,
        discriminator=DiscriminatorConfig(),
        perceptual_side=None,
    ),
}


class Materials(NamedTuple):
    """What every run of an ablation is made from; `sources` says where it came from, and is compared on resume."""

    clips: list[ClipFrames]
    validation: list[ClipFrames]
    depth: FaceDepthNet
    perceptual: PerceptualLoss
    device: torch.device
    sources: dict[str, Any]
    num_workers: int = 0


def variants(widths: Widths, depth: FaceDepthConfig) -> dict[str, TalkingHeadConfig]:
    """Table 4's rows at these widths, all with the same F_d."""
    if widths == "paper":
        return nine_variants(BASELINE, FOMM, depth)
    return nine_variants(LITE_BASELINE, LITE_FOMM, depth, gated=True)


def phases(config: AblationConfig, model: TalkingHeadConfig) -> tuple[Phase, ...]:
    """A budget of steps exactly, the last fifth annealed; for a budget of time one phase, ended by `TimedStage`."""
    extra = (JACOBIAN_TERM,) if model.keypoints.has_jacobian else ()
    whole = Phase(
        name="all",
        steps=config.budget.steps or MOST_STEPS,
        batch_size=config.batch_size,
        image_size=config.image_size,
        learning_rate=config.learning_rate,
        objective=config.objective + extra,
    )
    last = round(whole.steps * ANNEALED)
    if config.budget.steps is None or last == 0:
        return (whole,)
    return replace(whole, steps=whole.steps - last), _annealed(whole, last)


def _annealed(phase: Phase, steps: int) -> Phase:
    return replace(phase, name="anneal", steps=steps, learning_rate=phase.learning_rate * ANNEALED_RATE)


def build_variant(config: AblationConfig, name: str, seed: int, depth: FaceDepthNet) -> TalkingHead:
    """The model at its start. Tensors that the Baseline has too start as the Baseline's: rows differ in their parts,
    not in the draw of the parts they share."""
    rows = variants(config.widths, depth.config)
    torch.manual_seed(seed)
    start = rows["baseline"].build().state_dict()
    model = rows[name].build()
    own = model.state_dict()
    model.load_state_dict(own | {key: value for key, value in start.items() if _same_shape(own.get(key), value)})
    if model.depth is not None:
        model.depth.load_state_dict(depth.state_dict())
    return model


def _same_shape(ours: Tensor | None, theirs: Tensor) -> bool:
    return ours is not None and ours.shape == theirs.shape


class Clock(nn.Module):
    """Seconds spent in training steps: a module, so that it is in the checkpoint and goes on after a resume."""

    seconds: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seconds", torch.zeros((), dtype=torch.float64))


@dataclass(kw_only=True)
class TimedStage(GenerationStage):
    """Stage 2 that ends itself after `budget` seconds of steps, the last fifth of them annealed."""

    budget: float

    def __post_init__(self) -> None:
        super().__post_init__()
        self.clock = Clock()
        self.modules = {**self.modules, "clock": self.clock}

    @property
    def is_over(self) -> bool:
        return bool(self.clock.seconds >= self.budget)

    def step(self, phase: Phase, batch: Any, step: int) -> StepReport:
        started = time.monotonic()
        is_late = bool(self.clock.seconds >= (1 - ANNEALED) * self.budget)
        report = super().step(_annealed(phase, phase.steps) if is_late else phase, batch, step)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)  # the clock must not stop before the work does
        self.clock.seconds += time.monotonic() - started
        if self.is_over:
            signal.raise_signal(signal.SIGTERM)  # the loop saves, exports and ends, as for anybody who stops it
        return report


def train_variant(config: AblationConfig, name: str, seed: int, materials: Materials, folder: Path) -> Path:
    """Train one row, or go on with it; gives the model's file.

    Raises:
        UserError: the folder holds another run.
        KeyboardInterrupt: stopped from outside; the checkpoint is written.
    """
    stage = _stage(config, name, seed, materials)
    facts = {"ablation": to_plain(config), "variant": name, "seed": seed, **materials.sources}
    plain = {**facts, "model": to_plain(stage.config)}
    try:
        return train(stage, _loop(config, seed, materials.num_workers), plain, folder)
    except KeyboardInterrupt:
        if isinstance(stage, TimedStage) and stage.is_over:
            return folder / MODEL
        raise


def _stage(config: AblationConfig, name: str, seed: int, materials: Materials) -> GenerationStage:
    model = build_variant(config, name, seed, materials.depth)
    torch.manual_seed(seed)  # the same discriminator for all, however many numbers the model's start took
    stage: dict[str, Any] = {
        "networks": GenerationNetworks(model, config.discriminator.build(), materials.perceptual),
        "config": variants(config.widths, materials.depth.config)[name],
        "clips": materials.clips,
        "tracks": None,
        "validation": materials.validation,
        "device": materials.device,
        "seed": seed,
        "judged_by": None,  # the last model is compared, not the best: choosing would be a second budget
    }
    stage["phases"] = phases(config, stage["config"])
    if config.budget.seconds is not None:
        return TimedStage(**stage, budget=config.budget.seconds)
    return GenerationStage(**stage)


def _loop(config: AblationConfig, seed: int, num_workers: int) -> LoopConfig:
    steps = config.budget.steps or 100 * NUM_LOGS
    return LoopConfig(
        seed=seed,
        workers=num_workers,
        keep=1,
        log_every=max(1, steps // NUM_LOGS),
        panel_every=max(1, steps // NUM_PANELS),
    )
