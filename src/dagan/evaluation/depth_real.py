"""What can be said of depth on real faces, where there is no truth: order, 3-D consistency, reprojection.

Landmarks are the face mesh's in pixels (x right, y down, edges at 0 and the image's sides), of one frame each.
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

NOSE_TIP = 1
EYES = (33, 133), (362, 263)  # the corners of each
EARS = 234, 454  # where the outline of the mesh meets the ears
FOREHEAD, CHIN = 10, 152
# what hardly moves with the expression: nose, its root and wings, corners of the eyes, temples, forehead
RIGID = (1, 4, 5, 195, 197, 6, 168, 9, 151, 10, 33, 133, 362, 263, 127, 356, 234, 454, 48, 278, 98, 327, 109, 338)
TIE = 1e-6  # of depth: equal but for rounding is not nearer
AROUND = 0.6  # of the face's box on each side: what lies outside of it, above the chin, is background
FOCAL = 2.0  # image sides: the portrait camera that F_d is trained for

DepthMap = Float[np.ndarray, "h w"]
Landmarks = Float[np.ndarray, "n _d"]


class FaceOrder(NamedTuple):
    """Whether the nose's tip is nearer than other places of one frame. None: no such place in the frame.

    `eyes` and `ears` are against the mean of the two; `each_eye` and `each_ear` against the nearer one, which a turned
    head may truly have before its nose.
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
    """The rigid landmarks in space, as the depth map and the portrait camera place them."""
    height, width = depth.shape
    at = landmarks[list(RIGID)]
    far = read(depth, at)
    ray = (at[:, :2] - [width / 2, height / 2]) / (FOCAL * width)
    return np.column_stack([ray * far[:, None], far])


def landmark_inconsistency(first: Float[np.ndarray, "n 3"], second: Float[np.ndarray, "n 3"]) -> float:
    """How unlike two views' landmarks are after the best rigid motion and scale, over their size. 0: the same shape."""
    a, b = first - first.mean(0), second - second.mean(0)
    u, spread, v = np.linalg.svd(b.T @ a)
    flip = np.array([1, 1, np.sign(np.linalg.det(u @ v))])
    scale = (spread * flip).sum() / (a**2).sum()
    fitted = scale * a @ (v.T * flip @ u.T)
    return float(np.sqrt(((b - fitted) ** 2).sum() / (b**2).sum()))


class ReprojectionScore(NamedTuple):
    """P_e (Eq. 5) on the face: of the neighbour as it is, and of the neighbour carried over by depth and motion."""

    unmoved: float
    reprojected: float


def reprojection_error(
    depth: DepthMap, frame: Float[Tensor, "1 3 h w"], neighbour: Float[Tensor, "1 3 h w"], face: Bool[np.ndarray, "h w"]
) -> ReprojectionScore:
    """The rigid motion is found by direct alignment for this very depth, so that any depth has its best case."""
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
