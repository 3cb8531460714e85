"""Stage 1 whole: F_d and F_p learn from neighbouring frames of one clip, without labels (Sec. 3.2, Eqs. 1 to 5).

The head moves in front of a still camera, so "camera motion" is the head's motion as seen from the head, and the still
background is what the auto-mask drops. `dagan.losses.portrait` has the terms that this calls for.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.utils.data import Dataset

from dagan.data.augment import AUGMENTATION, AugmentConfig
from dagan.data.clips import ClipFrames
from dagan.data.sampling import REPEATS, ConsecutiveFrames
from dagan.data.synthetic.store import StoredClip
from dagan.geometry.alignment import align
from dagan.geometry.camera import Reprojection, reproject, scale_intrinsics
from dagan.geometry.warp import trainable
from dagan.losses.photometric import MinimumError, minimum_reprojection, scale_consistency, smoothness, soften
from dagan.losses.portrait import background_error, bump_distance, camera_offset, gauge
from dagan.models.depth import FaceDepthConfig, FaceDepthNet, depth_from_disparity
from dagan.models.pose import PoseNet
from dagan.models.weights import save_model
from dagan.training.batch_norm import synchronise_batch_norm
from dagan.training.batches import resize_images, rows_of, to_device
from dagan.training.depth_health import HealthWatch, signs_of_health
from dagan.training.depth_labels import UNLABELLED, Beside, DepthLabels, label_terms
from dagan.training.depth_order import FoundFaces, OrderedFaces
from dagan.training.depth_settings import MAX_DEPTH_GRADIENT, AdamWConfig, DepthStageConfig, term_weights
from dagan.training.depth_truth import TrueDepths
from dagan.training.distributed import ALONE, World, average_gradients
from dagan.training.guard import RunningState, clip_gradients, step_if
from dagan.training.journal import StepReport
from dagan.training.panels import NUM_ROWS, depth_panel
from dagan.training.phases import DepthPhase
from dagan.training.step import StepConfig, pick_precision
from dagan.training.validation import fixed_pairs
from dagan.types import CameraPose

COARSE = 8  # poses are compared on every eighth pixel
POSE_MODEL = "pose.safetensors"  # F_p, beside F_d in a run folder


class NeighbouringFrames(NamedTuple):
    """Frames I_i and those before and after them in their clips, RGB in [0, 1]."""

    frame: Float[Tensor, "b 3 h w"]
    previous: Float[Tensor, "b 3 h w"]
    next: Float[Tensor, "b 3 h w"]

    @property
    def neighbours(self) -> tuple[Float[Tensor, "b 3 h w"], Float[Tensor, "b 3 h w"]]:
        return self.previous, self.next


class DepthLoss(NamedTuple):
    """The loss to minimise, and detached scalars to log: unweighted terms and signs of health."""

    total: Float[Tensor, ""]
    terms: dict[str, Float[Tensor, ""]]


class DepthNetworks(nn.Module):
    """F_d and F_p, trained together; only F_d is kept."""

    def __init__(self, depth: FaceDepthNet, pose: PoseNet) -> None:
        super().__init__()
        self.depth = depth
        self.pose = pose

    def forward(self, batch: NeighbouringFrames) -> tuple[tuple[Tensor, ...], tuple[CameraPose, ...]]:
        """Disparity pyramid of the frame (Eq. 1), and its pose to each neighbour (Eq. 2)."""
        poses = self.pose(torch.cat([batch.frame, batch.frame]), torch.cat(batch.neighbours))
        chunks = zip(*(part.chunk(2) for part in poses), strict=True)
        return self.depth.pyramid(batch.frame), tuple(CameraPose(*chunk) for chunk in chunks)


class DepthStepResult(NamedTuple):
    """Unweighted terms and signs of health for the log, detached, and whether the step was taken."""

    terms: dict[str, Tensor]
    finite: Tensor


def depth_step(
    networks: DepthNetworks,
    optimizer: Optimizer,
    batch: NeighbouringFrames,
    labels: DepthLabels,
    settings: DepthStageConfig,
    step: int,
    config: StepConfig,
) -> DepthStepResult:
    """One step of F_d and F_p. `batch` is this process's share; nothing waits for the device."""
    optimizer.zero_grad(set_to_none=True)
    before, parts = RunningState(networks), list[dict[str, Tensor]]()
    size = len(batch.frame) // config.accumulate
    for start in range(0, len(batch.frame), size):
        rows = slice(start, start + size)
        with torch.autocast(batch.frame.device.type, dtype=config.precision, enabled=config.is_mixed):
            loss = depth_loss(networks, rows_of(batch, rows), settings, step, rows_of(labels, rows))
        (loss.total / config.accumulate).backward()  # type: ignore[no-untyped-call]
        parts.append({**loss.terms, "total": loss.total.detach()})
    terms = {name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]}
    average_gradients(networks)
    terms["gradient"] = clip_gradients([networks], config.max_gradient)
    finite = terms["gradient"].isfinite()
    step_if(finite, optimizer)
    before.keep_if(finite)
    return DepthStepResult(terms, finite)


def depth_loss(
    networks: DepthNetworks,
    batch: NeighbouringFrames,
    config: DepthStageConfig,
    step: int = 1_000_000,
    labels: DepthLabels = UNLABELLED,
) -> DepthLoss:
    """Loss of one batch. `step` counts from 0 and only sets the weight of the prior, gone by `config.prior_steps`.

    `labels` add terms that are weighted by `config.truth_weight` and `config.order_weight`; without them, always, in
    what is called self-supervised. The networks may run under autocast; everything after them is float32.
    """
    disparities, poses = networks(batch)
    with torch.autocast(batch.frame.device.type, enabled=False):
        poses, guidance = corrected(poses, disparities[0], batch, config)
        levels = [
            judge(disparity, poses, batch, level, config)
            for disparity, level in zip(disparities, config.image_levels, strict=True)
        ]
        height, width = batch.frame.shape[-2:]
        terms = stage_terms(config, levels, poses, guidance, (height, width))
        if config.consistency_weight > 0:
            terms["consistency"] = neighbour_consistency(networks.depth, batch, levels[0], config)
        terms |= label_terms(networks.depth, labels)
        weights = term_weights(config, step)
        total = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        logged = terms | signs_of_health(levels[0].disparity, levels[0].minimum, poses, width)
    return DepthLoss(total, {name: value.detach() for name, value in logged.items()})


def stage_terms(
    config: DepthStageConfig,
    levels: Sequence["Judgement"],
    poses: tuple[CameraPose, ...],
    guidance: Float[Tensor, ""],
    size: tuple[int, int],
) -> dict[str, Float[Tensor, ""]]:
    """The terms that the settings weigh at all, unweighted; `size` is (h, w) of the frames."""
    terms: dict[str, Callable[[], Tensor]] = {
        "photometric": lambda: mean_of(level.minimum.error.mean() for level in levels),
        "guidance": lambda: guidance,
        "smoothness": lambda: mean_of(level.smoothness / 2**scale for scale, level in enumerate(levels)),
        "background": lambda: mean_of(background_error(level.disparity, level.minimum) for level in levels),
        "gauge": lambda: mean_of(gauge(level.disparity, level.minimum) for level in levels),
        "camera": lambda: mean_of(camera_offset(pose.intrinsics, size, config.portrait_focal) for pose in poses),
        "prior": lambda: mean_of(bump_distance(level.disparity) for level in levels),
    }
    weights = term_weights(config, step=0)
    return {name: term() for name, term in terms.items() if weights[name] > 0}


def corrected(
    poses: tuple[CameraPose, ...],
    disparity: Float[Tensor, "b 1 _h _w"],
    batch: NeighbouringFrames,
    config: DepthStageConfig,
) -> tuple[tuple[CameraPose, ...], Float[Tensor, ""]]:
    """The poses after direct alignment, and how far F_p's were from them; with `align` off F_p's own, and 0."""
    if not config.align:
        return poses, batch.frame.new_zeros(())
    _, depth = resized_depth(disparity.detach(), batch.frame, config)
    better = tuple(
        align(pose, depth, batch.frame, neighbour, config.alignment_levels)
        for pose, neighbour in zip(poses, batch.neighbours, strict=True)
    )
    return better, mean_of(distance(pose, aim, depth) for pose, aim in zip(poses, better, strict=True))


def mean_of(values: Iterable[Float[Tensor, ""]]) -> Float[Tensor, ""]:
    return torch.stack(list(values)).mean()


def resized_depth(
    disparity: Float[Tensor, "b 1 _h _w"], like: Float[Tensor, "b _c h w"], config: DepthStageConfig
) -> tuple[Float[Tensor, "b 1 h w"], Float[Tensor, "b 1 h w"]]:
    """Disparity and depth at the size of `like`, in float32."""
    resized = functional.interpolate(disparity.float(), size=like.shape[-2:], mode="bilinear", align_corners=False)
    return resized, depth_from_disparity(resized, config.min_depth, config.max_depth)


def distance(pose: CameraPose, better: CameraPose, depth: Float[Tensor, "b 1 h w"]) -> Float[Tensor, ""]:
    """Mean distance between where two poses carry the frame's pixels, in half image sides; moves F_p's R and t only."""
    coarse = functional.avg_pool2d(depth, COARSE)
    camera = scale_intrinsics(pose.intrinsics.detach(), 1 / COARSE)
    here = reproject(coarse, pose._replace(intrinsics=camera)).grid
    there = reproject(coarse, better._replace(intrinsics=camera)).grid
    return (here - there.detach()).abs().mean()


class Judgement(NamedTuple):
    """One disparity scale against the images of one level."""

    disparity: Float[Tensor, "b 1 h w"]
    reprojections: tuple[Reprojection, ...]
    minimum: MinimumError
    smoothness: Float[Tensor, ""]


def judge(
    disparity: Float[Tensor, "b 1 _h _w"],
    poses: tuple[CameraPose, ...],
    batch: NeighbouringFrames,
    level: int,
    config: DepthStageConfig,
) -> Judgement:
    """Reprojects the neighbours into the frame (Eqs. 3, 4) and takes P_e (Eq. 5), at 1 / 2^level of the size."""
    frame, *others = (shrink(image, level) for image in (batch.frame, *batch.neighbours))
    disparity, depth = resized_depth(disparity, frame, config)
    reprojections = tuple(
        reproject(depth, pose._replace(intrinsics=scale_intrinsics(pose.intrinsics, 0.5**level))) for pose in poses
    )
    reconstructions = [sample(image, at.grid) for image, at in zip(others, reprojections, strict=True)]
    softened = [soften(other) for other in others] if config.softens else []  # else sampling wins by blurring noise
    still = torch.stack([*others, *softened])
    valid = torch.stack([at.valid for at in reprojections])
    minimum = minimum_reprojection(torch.stack(reconstructions), valid, still, frame, alpha=config.alpha)
    return Judgement(disparity, reprojections, minimum, smoothness(disparity, frame))


def shrink(image: Float[Tensor, "b 3 h w"], level: int) -> Float[Tensor, "b 3 _h _w"]:
    """Halved `level` times by averaging, and made contiguous: 3 channels-last channels are slow to pool and slice."""
    return functional.avg_pool2d(image.float().contiguous(), 2**level)


def sample(image: Float[Tensor, "b c h w"], grid: Float[Tensor, "b h w 2"]) -> Float[Tensor, "b c h w"]:
    """BI(I, q), Eq. 4. Beyond the edges the border repeats; `Reprojection.valid` says where."""
    return functional.grid_sample(image, trainable(grid), mode="bilinear", padding_mode="border", align_corners=False)


def neighbour_consistency(
    network: FaceDepthNet, batch: NeighbouringFrames, level: Judgement, config: DepthStageConfig
) -> Float[Tensor, ""]:
    """Depth carried to each neighbour against that neighbour's own depth, held fixed, where the pixel moves."""
    values = []
    for image, at in zip(batch.neighbours, level.reprojections, strict=True):
        with torch.no_grad():
            _, depth = resized_depth(network.pyramid(image)[0], level.disparity, config)
            own = sample(depth, at.grid.detach())
        values.append(scale_consistency(at.depth, own, at.valid * level.minimum.moving))
    return torch.stack(values).mean()


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
    augmentation: AugmentConfig | None = AUGMENTATION
    optimizer: AdamWConfig = AdamWConfig()
    truth: Sequence[StoredClip] = ()
    faces: Sequence[FoundFaces] = ()

    def __post_init__(self) -> None:
        self.networks.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        synchronise_batch_norm(self.networks, self.world)
        self._step = self.how or StepConfig(precision=pick_precision(self.device), max_gradient=MAX_DEPTH_GRADIENT)
        self.health = HealthWatch()
        how = self.optimizer
        self._optimizer = torch.optim.AdamW(
            self.networks.parameters(), betas=how.betas, weight_decay=how.weight_decay, fused=True
        )
        self.optimizers: Mapping[str, Optimizer] = {"depth": self._optimizer}
        self.modules: Mapping[str, nn.Module] = {"networks": self.networks}
        self.averaged: nn.Module = self.networks
        self.pairs = fixed_pairs(self.clips, NUM_ROWS, self.device)

    def dataset(self, length: int) -> Dataset[Any]:
        (phase,) = self.phases
        frames = ConsecutiveFrames(
            self.clips, length, self.seed, phase.gaps, augmentation=self.augmentation, repeats=self.repeats
        )
        labels: list[Dataset[Any]] = []
        if self.truth:
            labels.append(TrueDepths(self.truth, length, self.seed))
        if self.faces:
            labels.append(OrderedFaces(self.faces, phase.image_size, length, self.seed))
        return Beside(frames, *labels) if labels else frames

    def step(self, phase: DepthPhase, batch: Any, step: int) -> StepReport:
        for group in self._optimizer.param_groups:
            group["lr"] = phase.learning_rate_at(step)
        frames, labels = self._unpacked(batch, phase.image_size)
        terms, finite = depth_step(self.networks, self._optimizer, frames, labels, self.settings, step, self._step)
        return StepReport(terms | self.health.see(terms), finite)

    def _unpacked(self, batch: Any, size: int) -> tuple[NeighbouringFrames, DepthLabels]:
        """A batch of `dataset` on the device, its frames at the phase's size."""
        frame, neighbours, *rest = batch
        images = to_device((frame, *neighbours.unbind(1)), self.device)
        frames = NeighbouringFrames(*(resize_images(image, size) for image in images))
        given = iter(to_device(tuple(rest), self.device))
        return frames, DepthLabels(next(given) if self.truth else None, next(given) if self.faces else None)

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
