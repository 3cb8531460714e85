"""What stage 1 weighs and how it steps, as values: ours is the default, the paper's a recipe (`depth_recipes`)."""

from dataclasses import dataclass

from dagan.geometry.alignment import LEVELS

MAX_DEPTH_GRADIENT = 1.0


@dataclass(frozen=True, kw_only=True)
class AdamWConfig:
    """Of the optimiser; with `weight_decay` 0 it is Adam. The learning rate is each phase's."""

    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 1e-3


@dataclass(frozen=True, kw_only=True)
class DepthStageConfig:
    """Weights of stage 1.

    `image_levels` gives for each disparity scale the resolution (number of halvings) of the images it is judged on.
    Judging coarse disparities on coarse images (ours) costs a third of the paper's reference [4], (0, 0, 0, 0), and
    lets the pose find motions of many pixels. Frames of 256 pixels with networks that work at 128: (1, 2, 3, 4).
    `align`: poses are F_p's corrected by direct alignment, and F_p learns from the corrections (`guidance_weight`).
    False: F_p's own, and F_p learns from the reprojection error alone, as in the paper. `softens`: the auto-mask also
    compares with blurred neighbours. A term whose weight is 0 is left out.
    """

    alpha: float = 0.8  # Eq. 5
    smoothness_weight: float = 1e-3  # halved at each coarser scale; from [4]
    image_levels: tuple[int, ...] = (0, 1, 2, 3)
    align: bool = True
    alignment_levels: tuple[int, ...] = LEVELS  # halvings, coarse to fine
    guidance_weight: float = 1.0
    consistency_weight: float = 0.0  # takes F_d on the neighbours, too
    background_weight: float = 0.5
    gauge_weight: float = 0.5
    camera_weight: float = 0.02
    portrait_focal: float = 2.0  # image sides, as in `PoseConfig`
    prior_weight: float = 0.5
    prior_steps: int = 600
    truth_weight: float = 0.0  # of the supervised term on synthetic heads; only the default weights have it
    order_weight: float = 0.0  # of the order of landmarks on real frames; likewise
    softens: bool = True
    min_depth: float = 0.7
    max_depth: float = 1.2


def term_weights(config: DepthStageConfig, step: int) -> dict[str, float]:
    """Of every term that a step may have."""
    return {
        "photometric": 1.0,
        "guidance": config.guidance_weight,
        "smoothness": config.smoothness_weight,
        "background": config.background_weight,
        "gauge": config.gauge_weight,
        "camera": config.camera_weight,
        "prior": config.prior_weight * max(0.0, 1 - step / max(config.prior_steps, 1)),
        "consistency": config.consistency_weight,
        "truth": config.truth_weight,
        "order": config.order_weight,
    }
