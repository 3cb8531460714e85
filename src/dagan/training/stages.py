"""The two stages as the loop sees them: data, step, panel and export of each."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Dataset

from dagan.data.clips import ClipFrames
from dagan.data.landmarks import LandmarkTracks
from dagan.data.sampling import REPEATS, ConsecutiveFrames, SourceDrivingPairs
from dagan.data.synthetic.store import StoredClip
from dagan.face import JAW_AND_LIDS
from dagan.losses.objective import Objective
from dagan.losses.step_state import PairBatch
from dagan.models.depth import FaceDepthConfig
from dagan.models.talking_head import TalkingHead, TalkingHeadConfig
from dagan.models.weights import save_model
from dagan.training.batch_norm import synchronise_batch_norm
from dagan.training.batches import rows_of, to_device
from dagan.training.depth_health import HealthWatch
from dagan.training.depth_labels import Beside, DepthLabels
from dagan.training.depth_order import FoundFaces, OrderedFaces
from dagan.training.depth_stage import DepthNetworks, DepthStageConfig, NeighbouringFrames, depth_step
from dagan.training.depth_truth import TrueDepths
from dagan.training.distributed import ALONE, World, average_gradients
from dagan.training.generation_stage import (
    GenerationNetworks,
    Phase,
    compile_networks,
    generation_optimizers,
    generation_step,
    resize_images,
    resized,
)
from dagan.training.guard import RunningState, clip_gradients, step_if
from dagan.training.journal import StepReport
from dagan.training.panels import NUM_ROWS, depth_panel, generation_panel
from dagan.training.schedule import falling, step_of_phase
from dagan.training.step import StepConfig, pick_precision
from dagan.training.validation import NUM_PAIRS, Measure, Pairs, fixed_pairs, validate
from dagan.transfer.head_pose import facing

DEPTH_BETAS = (0.9, 0.99)
MAX_DEPTH_GRADIENT = 1.0
POSE_MODEL = "pose.safetensors"  # F_p, beside F_d in a run folder


class PairDataset(Dataset[PairBatch]):
    """Source-driving pairs with the landmarks of both frames when tracks are given."""

    def __init__(self, pairs: SourceDrivingPairs, tracks: LandmarkTracks | None):
        self.pairs, self.tracks = pairs, tracks

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> PairBatch | tuple[Tensor, Tensor]:  # type: ignore[override]
        pair = self.pairs[index]
        if self.tracks is None:
            return pair.source, pair.driving
        return PairBatch(
            pair.source,
            pair.driving,
            self.tracks.at(pair.clip_index, pair.source_index, pair.flipped),
            self.tracks.at(pair.clip_index, pair.driving_index, pair.flipped),
        )


def frame_changes(tracks: LandmarkTracks) -> dict[str, list[Float[np.ndarray, "t e"]]]:
    """In what frames of a clip may differ: jaw and lids (`t 3`) and turns of the head (`t 2`); NaN: no face."""
    turns = [facing(torch.from_numpy(points)).numpy() for points in tracks.guided]
    return {"expressions": [expression[:, JAW_AND_LIDS] for expression in tracks.expressions], "turns": turns}


@dataclass(kw_only=True)
class GenerationStage:
    """Stage 2 over clips; `validation` clips are of people that are not trained on.

    `how`: None for whole batches, in the precision that suits the device. `measures` are taken of generated and
    driving images of the validation pairs, beside L1. `compiled`: through torch.compile, which takes minutes at first.
    """

    networks: GenerationNetworks
    config: TalkingHeadConfig
    phases: Sequence[Phase]
    clips: list[ClipFrames]
    tracks: LandmarkTracks | None
    validation: list[ClipFrames]
    device: torch.device
    seed: int
    world: World = ALONE
    how: StepConfig | None = None
    measures: Mapping[str, Measure] = field(default_factory=dict)
    compiled: bool = False
    judged_by: str | None = "validation_l1"
    repeats: int = REPEATS  # visits to each person in an epoch
    judged_on: Pairs | None = None  # instead of one pair of each validation clip

    def __post_init__(self) -> None:
        self.networks.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        synchronise_batch_norm(self.networks, self.world)
        self._step = self.how or StepConfig(precision=pick_precision(self.device))
        self._optimizers = generation_optimizers(self.networks)
        self.optimizers: Mapping[str, Optimizer] = self._optimizers._asdict()
        self.modules: Mapping[str, nn.Module] = {
            "model": self.networks.model,
            "discriminator": self.networks.discriminator,
        }
        self.averaged: nn.Module = self.networks.model
        self.pairs = self.judged_on or fixed_pairs(self.validation or self.clips, NUM_PAIRS, self.device)
        self._changes = frame_changes(self.tracks) if self.tracks is not None else None
        if self.compiled:
            compile_networks(self.networks)

    def dataset(self, length: int) -> Dataset[Any]:
        pairs = SourceDrivingPairs(self.clips, length, self.seed, repeats=self.repeats, changes=self._changes)
        return PairDataset(pairs, self.tracks)

    def step(self, phase: Phase, batch: Any, step: int) -> StepReport:
        rate = phase.learning_rate_at(step_of_phase(self.phases, step))
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        self.networks.freeze(phase.frozen)
        objective = Objective(phase.objective)
        pairs = resized(PairBatch(*to_device(batch, self.device)), phase.image_size)
        result = generation_step(self.networks, self._optimizers, objective, pairs, self._step, self.world)
        return StepReport(result.terms, result.finite, objective.weights)

    def panel(self, average: nn.Module, path: Path) -> dict[str, float]:
        assert isinstance(average, TalkingHead)
        generation_panel(average, self.pairs.source[:NUM_ROWS], self.pairs.driving[:NUM_ROWS], path)
        return validate(average, self.pairs, self.measures)

    def export(self, average: nn.Module, path: Path) -> None:
        assert isinstance(average, TalkingHead)
        save_model(path, average, self.config)


@dataclass(frozen=True, kw_only=True)
class DepthPhase:
    """A stretch of stage 1. The learning rate rises over `warm_up` steps and falls over the last `decay` of them.

    `gaps` are the distances in frames between a frame and its neighbours: 1 is the paper's; heads hardly move in that
    time, and what does not move says nothing about depth.
    """

    name: str = "depth"
    steps: int
    batch_size: int = 12
    image_size: int = 256
    learning_rate: float = 1e-4
    warm_up: int = 100
    decay: float = 0.4
    gaps: tuple[int, ...] = (1,)

    def learning_rate_at(self, step: int) -> float:
        """Linear up, constant, linear down to a fiftieth."""
        return self.learning_rate * min(1.0, (step + 1) / self.warm_up) * falling(step, self.steps, self.decay)


@dataclass(kw_only=True)
class DepthStage:
    """Stage 1 over clips; `how` as in `GenerationStage`.

    `truth`: synthetic clips for the supervised term, or none. `faces`: real ones for the ordinal term, or none.
    """

    networks: DepthNetworks
    config: FaceDepthConfig
    settings: DepthStageConfig
    phases: Sequence[DepthPhase]
    clips: list[ClipFrames]
    device: torch.device
    seed: int
    world: World = ALONE
    how: StepConfig | None = None
    judged_by: str | None = None
    repeats: int = REPEATS
    truth: Sequence[StoredClip] = ()
    faces: Sequence[FoundFaces] = ()

    def __post_init__(self) -> None:
        self.networks.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        synchronise_batch_norm(self.networks, self.world)
        self._step = self.how or StepConfig(precision=pick_precision(self.device), max_gradient=MAX_DEPTH_GRADIENT)
        self.health = HealthWatch()
        self.optimizer = torch.optim.AdamW(self.networks.parameters(), betas=DEPTH_BETAS, weight_decay=1e-3, fused=True)
        self.optimizers: Mapping[str, Optimizer] = {"depth": self.optimizer}
        self.modules: Mapping[str, nn.Module] = {"networks": self.networks}
        self.averaged: nn.Module = self.networks
        self.pairs = fixed_pairs(self.clips, NUM_ROWS, self.device)

    def dataset(self, length: int) -> Dataset[Any]:
        (phase,) = self.phases
        frames = ConsecutiveFrames(self.clips, length, self.seed, gaps=phase.gaps, repeats=self.repeats)
        labels: list[Dataset[Any]] = []
        if self.truth:
            labels.append(TrueDepths(self.truth, length, self.seed))
        if self.faces:
            labels.append(OrderedFaces(self.faces, phase.image_size, length, self.seed))
        return Beside(frames, *labels) if labels else frames

    def step(self, phase: DepthPhase, batch: Any, step: int) -> StepReport:
        for group in self.optimizer.param_groups:
            group["lr"] = phase.learning_rate_at(step)
        frame, neighbours, *rest = batch
        images = to_device((frame, *neighbours.unbind(1)), self.device)
        frames = NeighbouringFrames(*(resize_images(image, phase.image_size) for image in images))
        given = iter(to_device(tuple(rest), self.device))
        labels = DepthLabels(next(given) if self.truth else None, next(given) if self.faces else None)
        before = RunningState(self.networks)
        self.optimizer.zero_grad(set_to_none=True)
        size = len(frame) // self._step.accumulate
        rows = [slice(at, at + size) for at in range(0, len(frame), size)]
        parts = [self._backward(rows_of(frames, part), step, rows_of(labels, part)) for part in rows]
        terms = {name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]}
        average_gradients(self.networks)
        terms["gradient"] = clip_gradients([self.networks], self._step.max_gradient)
        finite = terms["gradient"].isfinite()
        step_if(finite, self.optimizer)
        before.keep_if(finite)
        return StepReport(terms | self.health.see(terms), finite)

    def _backward(self, frames: NeighbouringFrames, step: int, labels: DepthLabels) -> dict[str, Tensor]:
        """Adds the gradients of one part of the batch; gives its terms."""
        with torch.autocast(self.device.type, dtype=self._step.precision, enabled=self._step.is_mixed):
            result = depth_step(self.networks, frames, self.settings, step, labels)
        (result.total / self._step.accumulate).backward()  # type: ignore[no-untyped-call]
        return {**result.terms, "total": result.total.detach()}

    def panel(self, average: nn.Module, path: Path) -> dict[str, float]:
        assert isinstance(average, DepthNetworks)
        for message in self.health.warnings():
            warnings.warn(f"stage 1 may have gone astray: {message}", stacklevel=1)
        return depth_panel(average.depth, *self.pairs, path)

    def export(self, average: nn.Module, path: Path) -> None:
        """F_d, which is all that stage 2 needs; F_p goes beside it, for `dagan evaluate-depth`."""
        assert isinstance(average, DepthNetworks)
        save_model(path, average.depth, self.config)
        save_model(path.with_name(POSE_MODEL), average.pose, average.pose.config)
