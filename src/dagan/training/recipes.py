"""How stage 2 is trained, as values: the bundled weights, the paper's models, published ones, Table 4 on a laptop."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from dagan.data.augment import AUGMENTATION, AugmentConfig
from dagan.losses.objective import FEATURE_MATCHING, PAPER_OBJECTIVE, TERMS, needing_landmarks
from dagan.losses.values import Look
from dagan.training.generation_stage import ADAM_BETAS, Optimizer
from dagan.training.phases import Phase
from dagan.training.step import MAX_GRADIENT


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a talking head is trained: its phases, and what they share.

    `size`: the side of the training images that the phases' `image_size` is written for; `--size` scales all of them.
    `repeats`: visits to each person in an epoch. `perceptual_side`: of the random square of each image that the
    perceptual network sees, 0 for whole images. `pyramid`: how the images of L_P are shrunk, ours or as published
    models were trained. `optimizer`: Adam with `betas`, or SGD. `max_gradient`: 0 for no clipping.
    `augmentation`: None for none.
    """

    description: str
    phases: tuple[Phase, ...]
    size: int = 256
    repeats: int = 1
    perceptual_side: int = 128
    pyramid: Literal["ours", "released"] = "ours"
    optimizer: Optimizer = "adam"
    betas: tuple[float, float] = ADAM_BETAS
    max_gradient: float = MAX_GRADIENT
    augmentation: AugmentConfig | None = AUGMENTATION


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
LITE_PHASES = (
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


class Unguided(NamedTuple):
    """What is left of a recipe where landmarks are not known, and what is not: names of phases and of terms."""

    phases: tuple[Phase, ...]
    left_out: tuple[str, ...]
    terms: tuple[str, ...]


def without_landmarks(phases: Sequence[Phase]) -> Unguided:
    """The phases for clips whose landmarks are not known.

    Terms that need them go, and so do phases in which nothing is left that moves an image. Keypoints that would stay
    where landmarks drew them are learned all the way, by equivariance.
    """
    kept, left_out, terms = [], [], list[str]()
    for phase in phases:
        guided = needing_landmarks(name for name, _ in phase.objective)
        terms += [name for name in guided if name not in terms]
        rest = tuple(term for term in phase.objective if term[0] not in guided)
        if guided and not any(Look.FLOW in TERMS[name].looks for name, _ in rest):
            left_out.append(phase.name)
        else:
            objective = rest + (EQUIVARIANCE if phase.frozen else ())
            kept.append(replace(phase, objective=objective, frozen=()))
    return Unguided(tuple(kept), tuple(left_out), tuple(terms))


# Eq. 10 in one phase, at the published schedule: 150 epochs of 75 pairs a person, ten times slower after 60 and 90 (as
# FOMM's paper says), L_P of whole images, no clipping.
PUBLISHED = Recipe(
    description="Sec. 3.5 as written, 150 epochs; days on several GPUs",
    phases=(Phase(epochs=150, milestones=(60, 90), batch_size=32, objective=PAPER_OBJECTIVE),),
    repeats=75,
    perceptual_side=0,
    max_gradient=0.0,
)
JACOBIANS = ("jacobian_equivariance", 10.0)
FOMM_OBJECTIVE = (*(term for term in PAPER_OBJECTIVE if term[0] != "keypoint_distance"), JACOBIANS)  # L_D is DaGAN's
RELEASED_OBJECTIVE = (*PAPER_OBJECTIVE, JACOBIANS)
RELEASED_AUGMENTATION = replace(AUGMENTATION, hue=0.1)


def of_objective(recipe: Recipe, objective: Iterable[tuple[str, float]], description: str) -> Recipe:
    """The recipe with another objective in each phase."""
    phases = tuple(replace(phase, objective=tuple(objective)) for phase in recipe.phases)
    return replace(recipe, phases=phases, description=description)


FOMM_RECIPE = of_objective(PUBLISHED, FOMM_OBJECTIVE, "FOMM's losses: the paper's without L_D, with the jacobian term")
RELEASED_RECIPE = replace(
    of_objective(PUBLISHED, RELEASED_OBJECTIVE, "as published DaGAN weights were trained; days on several GPUs"),
    pyramid="released",
    augmentation=RELEASED_AUGMENTATION,
)
FOMM_RELEASED_RECIPE = of_objective(
    RELEASED_RECIPE, FOMM_OBJECTIVE, "as published FOMM weights were trained; days on several GPUs"
)

# Going on from a published checkpoint: its losses, and a tenth of its learning rate, which wrecks a model within
# ten steps when Adam starts without its history.
RELEASED_TUNING = Recipe(
    description="for going on from a published checkpoint: its losses at a tenth of its rate",
    phases=(Phase(steps=2_000, batch_size=4, learning_rate=2e-5, objective=RELEASED_OBJECTIVE),),
    pyramid="released",
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
TABLE_4 = Recipe(
    description="Table 4 on a laptop: no discriminator, no landmarks; hours",
    phases=(Phase(steps=2_000, batch_size=8, image_size=128, learning_rate=4e-4, objective=TABLE_4_TERMS, decay=0.2),),
    size=128,
)
TABLE_4_JACOBIANS = of_objective(TABLE_4, (*TABLE_4_TERMS, JACOBIANS), "table_4 for keypoints with jacobians; hours")

LITE = Recipe(description="ours for the lite model: four phases, landmarks; a night on two cores", phases=LITE_PHASES)
# Other families, as published; and on a laptop, a fifth annealed, at the size of Table 4 there.
MONKEYNET_OBJECTIVE = (("level_reconstruction", 1.0), ("adversarial", 1.0))
X2FACE_OBJECTIVE = (("reconstruction", 1.0),)
OSFV_OBJECTIVE = (
    ("perceptual", 10.0),
    ("feature_matching", FEATURE_MATCHING),
    ("hinge_adversarial", 1.0),
    ("canonical_equivariance", 10.0),
    ("keypoint_prior", 10.0),
    ("head_pose", 20.0),
    ("expression_size", 5.0),
)
LITE_OSFV_OBJECTIVE = tuple(term for term in OSFV_OBJECTIVE if term[0] not in ("feature_matching", "hinge_adversarial"))
FAMILY_RECIPES = {
    "monkeynet": replace(
        PUBLISHED,
        description="as Monkey-Net was published: 20 epochs, no perceptual loss",
        phases=(Phase(epochs=20, batch_size=20, objective=MONKEYNET_OBJECTIVE),),
        repeats=1,
    ),
    "x2face": replace(
        PUBLISHED,
        description="X2Face's first stage as published: L1 and SGD; its number of steps is ours",
        phases=(Phase(steps=200_000, batch_size=16, learning_rate=1e-3, objective=X2FACE_OBJECTIVE),),
        repeats=1,
        optimizer="sgd",
        augmentation=None,
    ),
    "osfv": replace(
        PUBLISHED,
        description="OSFV's published training, 300 epochs; head poses from landmarks",
        phases=(Phase(epochs=300, milestones=(180,), batch_size=32, objective=OSFV_OBJECTIVE),),
    ),
    "lite_monkeynet": of_objective(TABLE_4, MONKEYNET_OBJECTIVE, "Monkey-Net on a laptop; hours"),
    "lite_x2face": of_objective(TABLE_4, (("reconstruction", 100.0),), "X2Face on a laptop, by Adam; hours"),
    "lite_osfv": of_objective(TABLE_4, LITE_OSFV_OBJECTIVE, "OSFV on a laptop, without a discriminator; hours"),
}

RECIPES = {
    "lite": LITE,
    "paper": PUBLISHED,
    "fomm": FOMM_RECIPE,
    "released": RELEASED_RECIPE,
    "fomm_released": FOMM_RELEASED_RECIPE,
    "released_tuning": RELEASED_TUNING,
    "table_4": TABLE_4,
    "table_4_jacobians": TABLE_4_JACOBIANS,
    **FAMILY_RECIPES,
}
