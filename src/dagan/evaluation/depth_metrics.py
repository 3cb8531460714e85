"""How good a depth map is, against the truth on a head. One frame in, one number out; scale is free everywhere.

Depth is along the optical axis. A map is scaled to the truth's median on the head first (`median_scaled`): what no
single camera can know is taken away, and nothing else, so a relief that is too flat or too deep still counts as wrong.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

ORDINAL_MARGIN = 0.05  # of the head's depth range: closer pairs are not asked about
ORDINAL_PAIRS = 4000
ORDINAL_SEED = 0  # the same pairs for every method
RANGE_PERCENTILES = (1, 99)  # a head's depth range, without its last stray pixel

DepthMap = Float[np.ndarray, "h w"]
Mask = Bool[np.ndarray, "h w"]


class DepthScores(NamedTuple):
    """Of one frame, on the head. Higher is better in `within_125`, `ordinal` and `rank`, lower in the others."""

    abs_rel: float
    si_rmse: float
    within_125: float
    ordinal: float
    rank: float
    normal_degrees: float


def score_depth(predicted: DepthMap, true: DepthMap, head: Mask, intrinsics: Float[np.ndarray, "3 3"]) -> DepthScores:
    """Every measure of one frame; `intrinsics` are the true ones and are for the normals alone."""
    scaled = median_scaled(predicted, true, head)
    at, truth = scaled[head].astype(np.float64), true[head].astype(np.float64)
    return DepthScores(
        abs_rel=float(np.mean(np.abs(at - truth) / truth)),
        si_rmse=float(np.std(np.log(at) - np.log(truth))),
        within_125=float(np.mean(np.maximum(at / truth, truth / at) < 1.25)),
        ordinal=ordinal_accuracy(at, truth),
        rank=rank_correlation(at, truth),
        normal_degrees=normal_error(scaled, true, head, intrinsics),
    )


def median_scaled(predicted: DepthMap, true: DepthMap, head: Mask) -> DepthMap:
    """The map times one number, so that its median on the head is the truth's."""
    return np.asarray(predicted * (np.median(true[head]) / np.median(predicted[head])))


def ordinal_accuracy(predicted: Float[np.ndarray, " n"], true: Float[np.ndarray, " n"]) -> float:
    """Share of random pixel pairs ordered right, of those at least `ORDINAL_MARGIN` of the head's range apart.

    A tie in the prediction counts half: that is what guessing would get.
    """
    numbers = np.random.default_rng(ORDINAL_SEED)
    first, second = numbers.integers(len(true), size=(2, ORDINAL_PAIRS))
    low, high = np.percentile(true, RANGE_PERCENTILES)
    apart = np.abs(true[first] - true[second]) > ORDINAL_MARGIN * (high - low)
    truth = np.sign(true[first] - true[second])[apart]
    guess = np.sign(predicted[first] - predicted[second])[apart]
    return float(np.mean((1 + truth * guess) / 2)) if len(truth) else float("nan")


def rank_correlation(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"]) -> float:
    """Spearman's: the correlation of ranks, ties sharing their mean rank; 0 where one side has a single value."""
    a, b = _ranks(first), _ranks(second)
    spread = a.std() * b.std()
    return float(((a - a.mean()) * (b - b.mean())).mean() / spread) if spread > 0 else 0.0


def _ranks(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    _, group, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2)[group])


def normal_error(predicted: DepthMap, true: DepthMap, head: Mask, intrinsics: Float[np.ndarray, "3 3"]) -> float:
    """Mean angle in degrees between the normals of the two surfaces, where all neighbours are on the head."""
    inner = head.copy()
    inner[[0, -1]] = inner[:, [0, -1]] = False
    for axis in (0, 1):
        inner &= np.roll(head, 1, axis) & np.roll(head, -1, axis)
    if not inner.any():
        return float("nan")
    cosine = (surface_normals(predicted, intrinsics) * surface_normals(true, intrinsics)).sum(-1)[inner]
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean())


def surface_normals(depth: DepthMap, intrinsics: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "h w 3"]:
    """Unit normals towards the camera, from central differences of the back-projected points."""
    height, width = depth.shape
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(intrinsics.astype(np.float64)).T
    points = rays * depth[..., None]
    normal = np.cross(np.gradient(points, axis=0), np.gradient(points, axis=1))  # y then x: towards the camera
    return np.asarray(normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12))


def rotation_angle(first: Float[np.ndarray, "3 3"], second: Float[np.ndarray, "3 3"]) -> float:
    """Degrees between two rotations."""
    cosine = (np.trace(first.T @ second) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
