"""The face as this package numbers it: 17 landmarks by name, how they mirror, a mean face, and 15 expressions.

Left and right are the person's own: in a frontal portrait the right eye is in the left half of the image.
"""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class Landmark(NamedTuple):
    """A point of the face.

    `mesh` is its index in MediaPipe's Face Mesh of 478 points. `x y z` is its place on the mean face: x right in the
    image, y down, z away from the camera; the sides of the face are 2 apart. `rigidity` is its weight when the head's
    pose is fitted: 1 for bone, 0 for what only moves with the expression.
    """

    name: str
    mesh: int
    x: float
    y: float
    z: float
    rigidity: float


# Mean face: the median of the landmarks of 227 clips of 172 people, aligned (Procrustes) and made symmetric.
# Numbered from 0 in this order.
LANDMARKS = (
    Landmark("nose_tip", 1, 0.0, 0.527, -1.422, 1.0),
    Landmark("chin", 152, 0.0, 1.697, -0.941, 0.1),
    Landmark("forehead", 10, 0.0, -0.735, -0.941, 1.0),
    Landmark("right_side", 234, -1.0, 0.344, 0.0, 1.0),
    Landmark("left_side", 454, 1.0, 0.344, 0.0, 1.0),
    Landmark("right_mouth_corner", 61, -0.366, 1.017, -0.936, 0.3),
    Landmark("left_mouth_corner", 291, 0.366, 1.017, -0.936, 0.3),
    Landmark("upper_lip", 13, 0.0, 0.956, -1.149, 0.6),  # inner edge, as the lower one
    Landmark("lower_lip", 14, 0.0, 1.078, -1.125, 0.0),
    Landmark("right_upper_lid", 159, -0.474, -0.061, -0.871, 0.3),
    Landmark("right_lower_lid", 145, -0.456, 0.061, -0.863, 0.7),
    Landmark("left_upper_lid", 386, 0.474, -0.061, -0.871, 0.3),
    Landmark("left_lower_lid", 374, 0.456, 0.061, -0.863, 0.7),
    Landmark("right_brow", 105, -0.612, -0.357, -0.928, 0.5),
    Landmark("left_brow", 334, 0.612, -0.357, -0.928, 0.5),
    Landmark("right_iris", 468, -0.458, -0.001, -0.834, 1.0),
    Landmark("left_iris", 473, 0.458, -0.001, -0.834, 1.0),
)
NUM_LANDMARKS = len(LANDMARKS)
NUM_MESH_POINTS = 478  # 468 of MediaPipe's Face Mesh and 5 of each iris
MESH_INDICES = tuple(landmark.mesh for landmark in LANDMARKS)
MEAN_FACE = tuple((landmark.x, landmark.y, landmark.z) for landmark in LANDMARKS)
RIGIDITY = tuple(landmark.rigidity for landmark in LANDMARKS)


def _places(*names: str) -> tuple[int, ...]:
    order = [landmark.name for landmark in LANDMARKS]
    return tuple(order.index(name) for name in names)


BONE = _places("nose_tip", "forehead", "right_side", "left_side")  # these have no expression
MOUTH_CORNERS = _places("right_mouth_corner", "left_mouth_corner")
LIPS = _places("upper_lip", "lower_lip")
LIDS = (_places("right_upper_lid", "right_lower_lid"), _places("left_upper_lid", "left_lower_lid"))
IRISES = _places("right_iris", "left_iris")
JAW = _places("chin", "right_mouth_corner", "left_mouth_corner", "upper_lip", "lower_lip")  # move as the mouth opens
EXPRESSIVE = slice(MOUTH_CORNERS[0], NUM_LANDMARKS)  # mouth, lids, brows and irises come after the outline

# ARKit's expression coefficients and a neutral one, in the order of MediaPipe's Face Landmarker.
BLENDSHAPE_NAMES: tuple[str, ...] = (
    *("_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff"),
    *("cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight"),
    *("eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight"),
    *("eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight"),
    *("mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel"),
    *("mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker"),
    *("mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft"),
    *("mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight"),
    *("noseSneerLeft", "noseSneerRight"),
)
# The coefficients that are read from a driver and placed on a source, each in [0, 1]; the jaw and the lids come first.
EXPRESSIONS: tuple[str, ...] = (
    *("jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "mouthSmileRight", "mouthPucker"),
    *("mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight"),
    *("browInnerUp", "browOuterUpLeft", "browOuterUpRight", "browDownLeft", "browDownRight"),
)
NUM_EXPRESSIONS = len(EXPRESSIONS)
EXPRESSION_INDICES = tuple(BLENDSHAPE_NAMES.index(name) for name in EXPRESSIONS)
LID_EXPRESSIONS = slice(1, 3)
JAW_AND_LIDS = slice(0, 3)

_OTHER_SIDE = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}


def mirrored_name(name: str) -> str:
    """The name of a landmark or an expression after a horizontal flip of the image."""
    for side, other in _OTHER_SIDE.items():
        if name.startswith(f"{side}_") or name.endswith(side):
            return name.replace(side, other)
    return name


MIRROR = _places(*(mirrored_name(landmark.name) for landmark in LANDMARKS))  # order after a flip
MIRRORED_EXPRESSIONS = tuple(EXPRESSIONS.index(mirrored_name(name)) for name in EXPRESSIONS)


def mirrored(landmarks: Float[Tensor, "*b l 2"]) -> Float[Tensor, "*b l 2"]:
    """The landmarks, (x, y) in [-1, 1], after a horizontal flip of the image."""
    return landmarks[..., list(MIRROR), :] * landmarks.new_tensor([-1.0, 1.0])
