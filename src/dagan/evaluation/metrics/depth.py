"""How good a depth map is: against the truth on a head, and on real faces, which have no truth.

Against the truth a map is scaled to the truth's median on the head first (`median_scaled`), because no single camera
can know the scale. Nothing else is fitted, so a relief that is too flat or too deep counts as wrong. On real faces
remain the order of the face's parts, 3-D consistency between frames, and reprojection. Depth is along the optical axis;
landmarks are the face mesh's in pixels (x right, y down, edges at 0 and at the image's sides).
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dagan.geometry.alignment import align
from dagan.geometry.camera import reproject
from dagan.losses.photometric import photometric_error
from dagan.types import CameraPose

ORDINAL_MARGIN = 0.05  # of the head's depth range: closer pairs are not asked about
ORDINAL_PAIRS = 4000
ORDINAL_SEED = 0  # the same pairs for every method
RANGE_PERCENTILES = (1, 99)  # a head's depth range, without its last stray pixel
NOSE_TIP = 1
EYES = (33, 133), (362, 263)  # the corners of each
EARS = 234, 454  # where the outline of the mesh meets the ears
FOREHEAD, CHIN = 10, 152
# Points that hardly move with the expression: nose, its root and wings, corners of the eyes, temples, forehead
RIGID = (1, 4, 5, 195, 197, 6, 168, 9, 151, 10, 33, 133, 362, 263, 127, 356, 234, 454, 48, 278, 98, 327, 109, 338)
TIE = 1e-6  # a smaller difference of depth is rounding
AROUND = 0.6  # of the face's box, added on each side: what lies outside, above the chin, is background
FOCAL = 2.0  # image sides: the portrait camera that F_d is trained for

DepthMap = Float[np.ndarray, "h w"]
Mask = Bool[np.ndarray, "h w"]
Landmarks = Float[np.ndarray, "n _d"]


class DepthScores(NamedTuple):
    """Of one frame, on the head. Higher is better in `within_125`, `ordinal` and `rank`, lower in the others."""

    abs_rel: float
    si_rmse: float
    within_125: float
    ordinal: float
    rank: float
    normal_degrees: float


def score_depth(predicted: DepthMap, true: DepthMap, head: Mask, intrinsics: Float[np.ndarray, "3 3"]) -> DepthScores:
    """Every measure of one frame. The true `intrinsics` are used for the normals only."""
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


class FaceOrder(NamedTuple):
    """Whether the nose's tip is nearer than other places of one frame. None: the frame has no such place.

    `eyes` and `ears` compare with the mean of the two. `each_eye` and `each_ear` compare with the nearer one, which may
    truly be in front of the nose when the head is turned.
    """

    eyes: bool
    ears: bool
    background: bool | None
    each_eye: bool
    each_ear: bool


def face_order(depth: DepthMap, landmarks: Landmarks) -> FaceOrder:
    nose = read(depth, landmarks[[NOSE_TIP]])[0] + TIE
    eyes = np.array([read(depth, landmarks[list(corners)]).mean() for corners in EYES])
    ears = read(depth, landmarks[list(EARS)])
    behind = depth[background(depth.shape, landmarks)]
    return FaceOrder(
        eyes=bool(nose < eyes.mean()),
        ears=bool(nose < ears.mean()),
        background=bool(nose < np.median(behind)) if behind.size else None,
        each_eye=bool(nose < eyes.min()),
        each_ear=bool(nose < ears.min()),
    )


def background(shape: tuple[int, int], landmarks: Landmarks) -> Bool[np.ndarray, "h w"]:
    """Pixels above the chin and well outside of the face's box."""
    height, width = shape
    low, high = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    grown = AROUND * (high - low)
    y, x = np.mgrid[0:height, 0:width] + 0.5
    inside = (x > low[0] - grown[0]) & (x < high[0] + grown[0]) & (y > low[1] - grown[1])
    return np.asarray(~inside & (y < high[1]))


def read(values: Float[np.ndarray, "h w"], at: Float[np.ndarray, "n _d"]) -> Float[np.ndarray, " n"]:
    """Bilinear values at positions in pixels (centres at integer + 0.5); beyond the edges the border's."""
    height, width = values.shape
    x = np.clip(at[:, 0] - 0.5, 0, width - 1.001)
    y = np.clip(at[:, 1] - 0.5, 0, height - 1.001)
    column, row = x.astype(int), y.astype(int)
    part_x, part_y = x - column, y - row
    top = values[row, column] * (1 - part_x) + values[row, column + 1] * part_x
    bottom = values[row + 1, column] * (1 - part_x) + values[row + 1, column + 1] * part_x
    return np.asarray(top * (1 - part_y) + bottom * part_y)


def landmark_points(depth: DepthMap, landmarks: Landmarks) -> Float[np.ndarray, "_n 3"]:
    """The rigid landmarks in space, back-projected with the depth map and the portrait camera."""
    height, width = depth.shape
    at = landmarks[list(RIGID)]
    far = read(depth, at)
    ray = (at[:, :2] - [width / 2, height / 2]) / (FOCAL * width)
    return np.column_stack([ray * far[:, None], far])


def landmark_inconsistency(first: Float[np.ndarray, "n 3"], second: Float[np.ndarray, "n 3"]) -> float:
    """Distance of two views' landmarks after the best rigid motion and scale, over their size; 0 for equal shapes."""
    a, b = first - first.mean(0), second - second.mean(0)
    u, spread, v = np.linalg.svd(b.T @ a)
    flip = np.array([1, 1, np.sign(np.linalg.det(u @ v))])
    scale = (spread * flip).sum() / (a**2).sum()
    fitted = scale * a @ (v.T * flip @ u.T)
    return float(np.sqrt(((b - fitted) ** 2).sum() / (b**2).sum()))


class ReprojectionScore(NamedTuple):
    """P_e (Eq. 5) on the face: of the neighbour as it is, and of the neighbour reprojected by depth and motion."""

    unmoved: float
    reprojected: float


def reprojection_error(
    depth: DepthMap, frame: Float[Tensor, "1 3 h w"], neighbour: Float[Tensor, "1 3 h w"], face: Bool[np.ndarray, "h w"]
) -> ReprojectionScore:
    """P_e with the rigid motion that direct alignment finds for this depth, so that every depth has its best case."""
    height, width = depth.shape
    camera = torch.tensor([[[FOCAL * width, 0, width / 2], [0, FOCAL * height, height / 2], [0, 0, 1.0]]])
    shape = torch.from_numpy(depth).float()[None, None]
    still = CameraPose(torch.eye(3)[None], torch.zeros(1, 3), camera)
    at = reproject(shape, align(still, shape, frame, neighbour))
    carried = torch.nn.functional.grid_sample(neighbour, at.grid, padding_mode="border", align_corners=False)
    mask = torch.from_numpy(face)[None, None] & (at.valid > 0)
    if not mask.any():
        return ReprojectionScore(float("nan"), float("nan"))
    return ReprojectionScore(*(float(photometric_error(image, frame)[mask].mean()) for image in (neighbour, carried)))
