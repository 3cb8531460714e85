"""What the loss terms of stage 2 look at: the values of one step, and the names by which a term asks for them."""

from enum import Enum, auto
from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor

from dagan.data.landmarks import FaceLandmarks
from dagan.geometry.tps import PlaneWarp
from dagan.models.discriminator import Judgement
from dagan.types import Keypoints, Rendering

NOT_ASKED_FOR: Any = None  # a value that no term of the objective needs


class PairBatch(NamedTuple):
    """Source and driving frames of one clip each, RGB in [0, 1], with landmarks when they are known."""

    source: Float[Tensor, "b 3 h w"]
    driving: Float[Tensor, "b 3 h w"]
    source_landmarks: FaceLandmarks | None = None
    driving_landmarks: FaceLandmarks | None = None


class Look(Enum):
    """What a term can ask for beside the driving frame's keypoints. `training/forward.py` has how each is made."""

    SOURCE = auto()  # the source frame's keypoints
    FLOW = auto()
    RENDERING = auto()
    PERCEPTUAL = auto()  # features of the generated image
    WARPED_PERCEPTUAL = auto()  # features of the warped source
    JUDGEMENTS = auto()  # the discriminator's, of the driving frame and the generated image
    JUDGED_THROUGH = auto()  # the discriminator's of the driving frame, with gradients to its driving code
    TRANSFORMED = auto()  # keypoints of the driving frame under a random warp
    MOVED = auto()  # keypoints of the driving frame under a random similarity
    FOUND_AGAIN = auto()  # keypoints of the generated image
    REENACTED = auto()  # keypoints of a source that was moved by another person


class Values(NamedTuple):
    """The values of one step; those that no term asked for are `NOT_ASKED_FOR`.

    `perceptual`, `warped_perceptual`: L_P of the generated image, and of the source moved by the flow alone.
    `source`, `driving`: the model's views of both frames, and `flow` its dense motion between them.
    `plane_warp`: T of L_E, `transformed` the driving code of the driving frame sampled at T(z). `window`: [A t] through
    which the driving frame was seen, `moved` its keypoints there. `found_again`: keypoints of the generated image.
    `asked`: keypoints that move the first sources as the next sample's person moved, `found_reenacted` those that the
    picture of it has. `judged_real` has a graph of its own down to the discriminator's weights.
    """

    batch: PairBatch
    driving: Any
    source: Any = NOT_ASKED_FOR
    flow: Float[Tensor, "b h w 2"] = NOT_ASKED_FOR
    rendering: Rendering = NOT_ASKED_FOR
    perceptual: Float[Tensor, ""] = NOT_ASKED_FOR
    warped_perceptual: Float[Tensor, ""] = NOT_ASKED_FOR
    judged_real: Judgement = NOT_ASKED_FOR
    judged_fake: Judgement = NOT_ASKED_FOR
    judged_through: Judgement = NOT_ASKED_FOR
    plane_warp: PlaneWarp = NOT_ASKED_FOR
    transformed: Any = NOT_ASKED_FOR
    window: Float[Tensor, "b 2 3"] = NOT_ASKED_FOR
    moved: Keypoints = NOT_ASKED_FOR
    found_again: Keypoints = NOT_ASKED_FOR
    asked: Keypoints = NOT_ASKED_FOR
    found_reenacted: Keypoints = NOT_ASKED_FOR
    second_looks: frozenset[Look] = frozenset()  # those whose values are here
