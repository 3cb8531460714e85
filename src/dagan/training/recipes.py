"""How the bundled weights and the paper's model are trained, as values."""

import math
from collections.abc import Sequence
from dataclasses import replace

from dagan.losses.objective import NEED_LANDMARKS, PAPER_OBJECTIVE
from dagan.models.depth import FaceDepthConfig
from dagan.models.pose import PoseConfig
from dagan.training.depth_stage import DepthPhase, DepthStageConfig
from dagan.training.generation_stage import Phase

# Stage 1 of the lite model: 128 px, neighbours up to half a second away. The bump prior gives the face its sign (nose
# to the front) and is gone after 200 steps. A slow end calms the map: half of what is learned (docs/depth.md).
LITE_POSE = PoseConfig(base_width=32, head_width=128)
LITE_DEPTH_STAGE = DepthStageConfig(prior_steps=200)
DEPTH_RECIPE = DepthPhase(
    steps=900, batch_size=12, image_size=128, learning_rate=8e-4, decay=0.6, gaps=tuple(range(3, 13))
)


def depth_recipe(
    phase: DepthPhase, depth: FaceDepthConfig, truth_weight: float = 0.0, order_weight: float = 0.0
) -> tuple[PoseConfig, DepthStageConfig]:
    """F_p and the stage's settings for an F_d: judged at the size it works at, F_p no larger."""
    size = min(depth.working_size or phase.image_size, phase.image_size)
    halvings = max(0, round(math.log2(phase.image_size / size)))
    levels = tuple(level + halvings for level in LITE_DEPTH_STAGE.image_levels)
    pose = replace(LITE_POSE, working_size=size if halvings else LITE_POSE.working_size)
    settings = replace(LITE_DEPTH_STAGE, image_levels=levels, truth_weight=truth_weight, order_weight=order_weight)
    return pose, settings


# The detector alone first, drawn to face landmarks in frames as they are and turned, zoomed and shifted: a tenth of the
# cost of a sample at half size. Where it finds keypoints then stays: a detector that goes on learning beside the
# generator comes to know the people of the clips, and finds others' faces half as well (docs/decisions.md). Then
# motion, judged on the warped frame at 64 px, without a generator; then everything at half size, then at full size.
# Retargeting, which reenacted frames ask for, is trained before full size: `dagan train-retargeting`.
FOUND = ("keypoints.stem", "keypoints.hourglass", "keypoints.heatmap")
EQUIVARIANCE = (("equivariance", 10.0), ("jacobian_equivariance", 10.0))
LITE_TERMS = (
    ("perceptual", 10.0),
    ("reconstruction", 400.0),
    ("expressive_reconstruction", 500.0),
    ("keypoint_consistency", 300.0),
    ("opening_consistency", 1000.0),
)
FULL_SIZE_TERMS = (  # at last pixels count for more: L_P's texture is there, and where it is put decides
    ("perceptual", 10.0),
    ("reconstruction", 800.0),
    ("expressive_reconstruction", 1000.0),
    ("keypoint_consistency", 300.0),
    ("opening_consistency", 1000.0),
    ("reenacted_keypoints", 150.0),
    ("reenacted_openings", 500.0),
)
LITE_RECIPE = (
    Phase(
        name="keypoints",
        steps=500,
        batch_size=16,
        image_size=128,
        learning_rate=4e-4,
        objective=(
            ("landmark_guidance", 100.0),
            ("opening_guidance", 200.0),
            ("moved_landmark_guidance", 100.0),
            ("moved_jacobian", 10.0),
            ("torso_guidance", 50.0),
        ),
        decay=0.5,
    ),
    Phase(
        name="motion",
        steps=150,
        batch_size=16,
        image_size=128,
        learning_rate=4e-4,
        objective=(("warped_perceptual", 10.0),),
        frozen=FOUND,
    ),
    Phase(
        name="half_size",
        steps=500,
        batch_size=8,
        image_size=128,
        learning_rate=4e-4,
        objective=LITE_TERMS,
        frozen=FOUND,
    ),
    Phase(
        name="full_size",
        steps=1500,
        batch_size=8,
        objective=FULL_SIZE_TERMS,
        frozen=FOUND,
        decay=0.6,
    ),
)


def without_landmarks(phases: Sequence[Phase]) -> tuple[Phase, ...]:
    """The phases for clips whose landmarks are not known: terms that need them go, and keypoints that would stay where
    landmarks drew them are learned all the way, by equivariance."""
    return tuple(
        replace(
            phase,
            objective=tuple(term for term in phase.objective if term[0] not in NEED_LANDMARKS)
            + (EQUIVARIANCE if phase.frozen else ()),
            frozen=(),
        )
        for phase in phases
    )


# The paper: one phase of all of Eq. 10 at 256. Published models see about 150 epochs of VoxCeleb1.
PAPER_RECIPE = (Phase(steps=100_000, batch_size=4, objective=PAPER_OBJECTIVE),)

# Going on from a published checkpoint: its losses, and a tenth of its learning rate, which wrecks a model within
# ten steps when Adam starts without its history.
RELEASED_RECIPE = (
    Phase(
        steps=2_000,
        batch_size=4,
        learning_rate=2e-5,
        objective=(*PAPER_OBJECTIVE, ("jacobian_equivariance", 10.0)),
    ),
)

# One person's clip, in minutes and without landmarks: `dagan finetune`.
FINETUNE_RECONSTRUCTION = ("reconstruction", 200.0)
FINETUNE_RECIPE = (
    Phase(
        steps=1_000,
        batch_size=4,
        learning_rate=5e-5,
        objective=(("perceptual", 10.0), FINETUNE_RECONSTRUCTION, *EQUIVARIANCE),
    ),
)

# Table 4 again on a laptop (`dagan ablate`): no landmarks, the last fifth annealed, and no discriminator, which costs
# more than it brings within an evening. L_E's other half is for the rows whose keypoints have local frames (FOMM).
TABLE_4_TERMS = (("perceptual", 10.0), ("reconstruction", 200.0), ("equivariance", 10.0), ("keypoint_distance", 10.0))
TABLE_4_RECIPE = (
    Phase(
        steps=2_000,
        batch_size=8,
        image_size=128,
        learning_rate=4e-4,
        objective=(
            ("perceptual", 10.0),
            ("reconstruction", 200.0),
            ("equivariance", 10.0),
            ("keypoint_distance", 10.0),
        ),
        decay=0.2,
    ),
)
TABLE_4_JACOBIANS_RECIPE = (replace(TABLE_4_RECIPE[0], objective=(*TABLE_4_TERMS, ("jacobian_equivariance", 10.0))),)

RECIPES = {
    "lite": LITE_RECIPE,
    "paper": PAPER_RECIPE,
    "released": RELEASED_RECIPE,
    "table_4": TABLE_4_RECIPE,
    "table_4_jacobians": TABLE_4_JACOBIANS_RECIPE,
}
