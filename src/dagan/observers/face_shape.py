"""What a face does, read from the 68 landmarks of Multi-PIE: the same quantities by every observer that finds them."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

UPPER_LIP, LOWER_LIP = (61, 62, 63), (67, 66, 65)  # inner
CORNERS = (48, 54)
UPPER_LIDS, LOWER_LIDS = (37, 38, 43, 44), (41, 40, 47, 46)
EYES = ((36, 39), (42, 45))  # outer or inner corners
BROWS = tuple(range(17, 27))
NOSE_TIP = 30


class FaceShape(NamedTuple):
    """Distances in units of the outer eye corners' distance.

    `lids` is how far they are apart; `brows` how high they stand above the eyes; `yaw` how far the tip of the nose lies
    beside the middle of the eyes, positive to the right of the image.
    """

    lips: float
    lids: float
    brows: float
    mouth_width: float
    yaw: float


def face_shape(points: Float[np.ndarray, "68 _d"]) -> FaceShape:
    """The quantities of one face; only x and y count."""
    p = points[:, :2].astype(np.float64)
    eyes = [p[list(corners)].mean(0) for corners in EYES]
    middle, across = (eyes[0] + eyes[1]) / 2, p[EYES[1][1]] - p[EYES[0][0]]
    side = max(float(np.linalg.norm(across)), 1e-6)
    across = across / side
    up = np.array([across[1], -across[0]])
    return FaceShape(
        lips=_gap(p, UPPER_LIP, LOWER_LIP) / side,
        lids=_gap(p, UPPER_LIDS, LOWER_LIDS) / side,
        brows=float((p[list(BROWS)].mean(0) - middle) @ up) / side,
        mouth_width=float(np.linalg.norm(p[CORNERS[1]] - p[CORNERS[0]])) / side,
        yaw=float((p[NOSE_TIP] - middle) @ across) / side,
    )


def _gap(points: Float[np.ndarray, "68 2"], above: tuple[int, ...], below: tuple[int, ...]) -> float:
    return float(np.linalg.norm(points[list(above)] - points[list(below)], axis=1).mean())
