"""The two stages as the loop sees them: data, step, panel and export of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Dataset

from dagan.data.clips import ClipFrames
from dagan.data.landmarks import LandmarkTracks
from dagan.data.sampling import ConsecutiveFrames, SourceDrivingPairs
from dagan.losses.objective import Objective, PairBatch
from dagan.models.depth import FaceDepthConfig
from dagan.models.talking_head import TalkingHead, TalkingHeadConfig
from dagan.models.weights import save_model
from dagan.training.depth_stage import DepthNetworks, DepthStageConfig, NeighbouringFrames, depth_step
from dagan.training.distributed import average_gradients
from dagan.training.generation_stage import (
    GenerationNetworks,
    Phase,
    generation_optimizers,
    generation_step,
    resize_images,
    resized,
)
from dagan.training.panels import depth_panel, generation_panel

DEPTH_BETAS = (0.9, 0.99)
MAX_DEPTH_GRADIENT = 1.0


def pick_precision(device: torch.device) -> torch.dtype:
    """bfloat16 where convolutions run in it natively, else float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32


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


def to_device(batch: Any, device: torch.device) -> Any:
    """Every tensor of a (named) tuple on the device, images channels-last."""
    if isinstance(batch, Tensor):
        layout = torch.channels_last if batch.dim() == 4 else torch.preserve_format
        return batch.to(device, non_blocking=True).contiguous(memory_format=layout)
    moved = [to_device(value, device) for value in batch]
    return type(batch)(*moved) if hasattr(batch, "_fields") else tuple(moved)


@dataclass
class GenerationStage:
    """Stage 2 over clips; `validation` clips are of people that are not trained on."""

    networks: GenerationNetworks
    config: TalkingHeadConfig
    phases: Sequence[Phase]
    clips: list[ClipFrames]
    tracks: LandmarkTracks | None
    validation: list[ClipFrames]
    device: torch.device
    seed: int

    def __post_init__(self) -> None:
        self.networks.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.precision = pick_precision(self.device)
        self._optimizers = generation_optimizers(self.networks)
        self.optimizers: Mapping[str, Optimizer] = self._optimizers._asdict()
        self.modules: Mapping[str, nn.Module] = {
            "model": self.networks.model,
            "discriminator": self.networks.discriminator,
        }
        self.averaged: nn.Module = self.networks.model

    def dataset(self, length: int) -> Dataset[Any]:
        return PairDataset(SourceDrivingPairs(self.clips, length, self.seed), self.tracks)

    def step(self, phase: Phase, batch: Any, step: int) -> dict[str, Tensor]:
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = phase.learning_rate
        pairs = resized(PairBatch(*to_device(batch, self.device)), phase.image_size)
        return generation_step(self.networks, self._optimizers, Objective(phase.objective), pairs, self.precision).terms

    def panel(self, average: nn.Module, path: Path) -> dict[str, float]:
        assert isinstance(average, TalkingHead)
        return generation_panel(average, self.validation or self.clips, path, self.device)

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
        left = (self.steps - step) / max(1.0, self.decay * self.steps)
        return self.learning_rate * min(1.0, (step + 1) / self.warm_up) * min(1.0, max(0.02, left))


@dataclass
class DepthStage:
    """Stage 1 over clips."""

    networks: DepthNetworks
    config: FaceDepthConfig
    settings: DepthStageConfig
    phases: Sequence[DepthPhase]
    clips: list[ClipFrames]
    device: torch.device
    seed: int

    def __post_init__(self) -> None:
        self.networks.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.precision = pick_precision(self.device)
        self.optimizer = torch.optim.AdamW(self.networks.parameters(), betas=DEPTH_BETAS, weight_decay=1e-3)
        self.optimizers: Mapping[str, Optimizer] = {"depth": self.optimizer}
        self.modules: Mapping[str, nn.Module] = {"networks": self.networks}
        self.averaged: nn.Module = self.networks

    def dataset(self, length: int) -> Dataset[Any]:
        (phase,) = self.phases
        return ConsecutiveFrames(self.clips, length, self.seed, gaps=phase.gaps)

    def step(self, phase: DepthPhase, batch: Any, step: int) -> dict[str, Tensor]:
        for group in self.optimizer.param_groups:
            group["lr"] = phase.learning_rate_at(step)
        frame, neighbours = batch
        images = to_device((frame, *neighbours.unbind(1)), self.device)
        frames = NeighbouringFrames(*(resize_images(image, phase.image_size) for image in images))
        with torch.autocast(self.device.type, dtype=self.precision, enabled=self.precision is not torch.float32):
            result = depth_step(self.networks, frames, self.settings, step)
        self.optimizer.zero_grad(set_to_none=True)
        result.total.backward()  # type: ignore[no-untyped-call]
        average_gradients(self.networks)
        nn.utils.clip_grad_norm_(self.networks.parameters(), MAX_DEPTH_GRADIENT)
        self.optimizer.step()
        return {**result.terms, "total": result.total.detach()}

    def panel(self, average: nn.Module, path: Path) -> dict[str, float]:
        assert isinstance(average, DepthNetworks)
        return depth_panel(average.depth, self.clips, path, self.device)

    def export(self, average: nn.Module, path: Path) -> None:
        """F_d alone: F_p has done its work (Sec. 3.2)."""
        assert isinstance(average, DepthNetworks)
        save_model(path, average.depth, self.config)
