"""How stage 1 is trained, as values: ours for short trainings, and the paper's."""

import math
from dataclasses import dataclass, replace

from dagan.data.augment import AUGMENTATION, AugmentConfig
from dagan.models.depth import FaceDepthConfig
from dagan.models.pose import PoseConfig
from dagan.training.depth_settings import MAX_DEPTH_GRADIENT, AdamWConfig, DepthStageConfig
from dagan.training.phases import DepthPhase


@dataclass(frozen=True, kw_only=True)
class DepthRecipe:
    """A phase, what it weighs, F_p, and how a step is made.

    `size`: the side of the frames that the phase's `image_size` is written for. `repeats`: visits to each person in an
    epoch. `max_gradient`: 0 for no clipping. `augmentation`: None for none.
    """

    description: str
    phase: DepthPhase
    stage: DepthStageConfig = DepthStageConfig()
    pose: PoseConfig = PoseConfig()
    size: int = 256
    repeats: int = 1
    optimizer: AdamWConfig = AdamWConfig()
    max_gradient: float = MAX_DEPTH_GRADIENT
    augmentation: AugmentConfig | None = AUGMENTATION


# 128 px, neighbours up to half a second away. The bump prior gives the face its sign (nose to the front) and is gone
# after 200 steps. A slow end calms the map: half of what is learned (docs/depth.md).
LITE_DEPTH = DepthRecipe(
    description="ours: poses by direct alignment, and terms for background, scale, camera and sign; minutes",
    phase=DepthPhase(steps=900, batch_size=12, image_size=128, learning_rate=8e-4, decay=0.6, gaps=tuple(range(3, 13))),
    stage=DepthStageConfig(prior_steps=200),
    pose=PoseConfig(base_width=32, head_width=128),
)

# Sec. 3.2: Eqs. 1 to 5, with the minimum over two neighbours, the auto-mask, the smoothness, the four scales at full
# resolution and the schedule (Adam, 20 epochs, ten times slower after 15) of the paper's reference [4].
PAPER_DEPTH = DepthRecipe(
    description="Sec. 3.2 as written, with reference [4]'s minimum reprojection, auto-mask and smoothness; days",
    phase=DepthPhase(epochs=20, milestones=(15,), batch_size=12, image_size=256, warm_up=0, decay=0.0, gaps=(1,)),
    stage=DepthStageConfig(
        image_levels=(0, 0, 0, 0),
        align=False,
        guidance_weight=0.0,
        background_weight=0.0,
        gauge_weight=0.0,
        camera_weight=0.0,
        prior_weight=0.0,
        softens=False,
    ),
    pose=PoseConfig(motion_scale=0.01, pivot_depth=0.0),
    repeats=75,
    optimizer=AdamWConfig(betas=(0.9, 0.999), weight_decay=0.0),
    max_gradient=0.0,
)
DEPTH_RECIPES = {"lite": LITE_DEPTH, "paper": PAPER_DEPTH}


def fitted(recipe: DepthRecipe, depth: FaceDepthConfig) -> DepthRecipe:
    """The recipe for an F_d: disparities are judged at the size at which it works, and F_p sees no larger images."""
    image_size = recipe.phase.image_size
    size = min(depth.working_size or image_size, image_size)
    halvings = max(0, round(math.log2(image_size / size)))
    levels = tuple(level + halvings for level in recipe.stage.image_levels)
    pose = replace(recipe.pose, working_size=size) if halvings else recipe.pose
    return replace(recipe, pose=pose, stage=replace(recipe.stage, image_levels=levels))
