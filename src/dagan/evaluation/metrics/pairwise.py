"""Metrics of one generated image against one other image: pixels, landmarks, identity, head pose, action units.

All compare with the driving frame, but CSIM, which compares with the source. Averages are `accumulators.Mean`.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from torch import Tensor

MAX_PSNR = 100.0  # decibels, given to equal images: an infinite value would swallow the mean of all others
REFERENCE_SIDE = 256  # pixels: AKD is given at the size of the paper's images
FULL_TURN = 360.0


def l1(generated: Float[Tensor, "b 3 h w"], driving: Float[Tensor, "b 3 h w"]) -> Float[Tensor, " b"]:
    """L1 of Table 2: mean absolute difference over pixels and channels; images in [0, 1], lower is better."""
    return (generated - driving).abs().mean(dim=(1, 2, 3))


def psnr(generated: Float[Tensor, "b 3 h w"], driving: Float[Tensor, "b 3 h w"]) -> Float[Tensor, " b"]:
    """PSNR of Table 1: peak signal-to-noise ratio in decibels, at most `MAX_PSNR`; higher is better."""
    squared_error = (generated - driving).square().mean(dim=(1, 2, 3))  # b
    return -10 * squared_error.clamp(min=10 ** (-MAX_PSNR / 10)).log10()


def landmark_distance(generated: Float[np.ndarray, "n d"], driving: Float[np.ndarray, "n d"]) -> float:
    """Mean Euclidean distance of corresponding landmarks, in the unit of the landmarks (pixels); lower is better.

    Only x and y count: the third coordinate of a landmark, if there is one, is estimated from a single image. AKD is
    smaller, because it averages differences of single coordinates.
    """
    return float(np.linalg.norm(generated[:, :2] - driving[:, :2], axis=1).mean())


def akd(generated: Float[np.ndarray, "n d"], driving: Float[np.ndarray, "n d"], side: int = REFERENCE_SIDE) -> float:
    """AKD of Table 2, average keypoint distance: mean absolute difference of single coordinates; lower is better.

    Landmarks are in pixels of images `side` pixels wide; the result is in pixels at 256 x 256. Only x and y count.
    """
    difference = np.abs(generated[:, :2] - driving[:, :2]).mean()
    return float(difference) * REFERENCE_SIDE / side


def aed(generated: Float[np.ndarray, " d"], driving: Float[np.ndarray, " d"]) -> float:
    """AED of Table 2, average Euclidean distance of two unit-length identity embeddings, 0 to 4; lower is better.

    It is squared: despite the name no root is taken, as in the script behind the published numbers. It equals
    2 - 2 x cosine.
    """
    return float(np.square(generated - driving).sum())


def csim(generated: Float[np.ndarray, " d"], source: Float[np.ndarray, " d"]) -> float:
    """CSIM of Tables 1, 3 and 4: cosine of the identities of generated and *source* image; higher is better."""
    return float(generated @ source / (np.linalg.norm(generated) * np.linalg.norm(source)))


def head_pose_error(generated: Sequence[float], driving: Sequence[float]) -> float:
    """PRMSE of Tables 1, 3 and 4: root of the mean squared difference of yaw, pitch and roll in degrees, of one pair.

    Differences are taken the short way round, so 179 and -179 degrees are 2 apart. Lower is better.
    """
    differences = [_turn(a - b) for a, b in zip(generated, driving, strict=True)]
    return math.sqrt(sum(d * d for d in differences) / len(differences))


def _turn(angle: float) -> float:
    return (angle + FULL_TURN / 2) % FULL_TURN - FULL_TURN / 2


def aucon(
    generated: Float[np.ndarray, " u"], driving: Float[np.ndarray, " u"], thresholds: Float[np.ndarray, " u"]
) -> float:
    """AUCON of Tables 1, 3 and 4: share of action units present in both images or in neither; higher is better.

    A unit is present when its strength is above its threshold.
    """
    return float(((generated > thresholds) == (driving > thresholds)).mean())
