"""How the bundled weights and the paper's model are trained, as values."""

from dagan.losses.objective import PAPER_OBJECTIVE
from dagan.training.generation_stage import Phase

# Keypoints and motion first, judged on the warped frame at 64 px, without a generator: an eighth of the cost. The
# keypoints start at face landmarks and are let go at the end. Then everything at half size, then everything at full
# size, at last with the discriminator.
LITE_RECIPE = (
    Phase(
        name="motion",
        steps=300,
        batch_size=16,
        image_size=128,
        learning_rate=4e-4,
        objective=(
            ("warped_perceptual", 10.0),
            ("jacobian_equivariance", 10.0),
            ("landmark_guidance", 100.0),
        ),
    ),
    Phase(
        name="half_size",
        steps=500,
        batch_size=8,
        image_size=128,
        learning_rate=4e-4,
        objective=(
            ("perceptual", 10.0),
            ("equivariance", 10.0),
            ("jacobian_equivariance", 10.0),
            ("landmark_guidance", 50.0),
        ),
    ),
    Phase(
        name="full_size",
        steps=1500,
        batch_size=4,
        objective=(
            ("perceptual", 10.0),
            ("equivariance", 10.0),
            ("jacobian_equivariance", 10.0),
            ("landmark_guidance", 20.0),
        ),
    ),
)

# The paper: one phase of all of Eq. 10 at 256. Published models see about 150 epochs of VoxCeleb1.
PAPER_RECIPE = (Phase(steps=100_000, batch_size=4, objective=PAPER_OBJECTIVE),)

RECIPES = {"lite": LITE_RECIPE, "paper": PAPER_RECIPE}
