"""What a head leaves behind when it moves, and what is missing of it when it does not (not in the paper).

A head is composed over a known background, so a picture shows at every pixel whether the background is back. Which
pixels the head has left is asked in two ways: where a matte of the picture sees no person, and where the source's head,
moved as the landmarks of the picture say, no longer is. The second also counts what is solid enough to pass for a head.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from dagan.evaluation.metrics.regional import EPS
from dagan.evaluation.regions import CHIN, FOREHEAD, REFERENCE_SIDE

MARGIN = 5  # pixels at 256 x 256 around the moved head: hair moves a little otherwise than the face
NEAR = 1.0  # faces' heights around the middle of the face that are the head's
EARS = (234, 454)  # points of the mesh at the head's sides, half way back


class Left(NamedTuple):
    """Sums over the pixels that the head has left: how far the picture differs from the background in the direction of
    the head's colour, and how far the source does. A fill of another texture is no ghost, and averages out."""

    picture: float = 0.0
    source: float = 0.0

    def __add__(self, other: "Left") -> "Left":  # type: ignore[override]
        return Left(self.picture + other.picture, self.source + other.source)

    @property
    def share(self) -> float | None:
        """0: the background is back everywhere; 1: the head of the source is still there. None: it left nothing."""
        return self.picture / self.source if self.source > EPS else None


class RigidMotion(NamedTuple):
    """Scale, rotation and shift in pixels of a head; z away from the camera."""

    scale: float
    rotation: Float[np.ndarray, "3 3"]
    shift: Float[np.ndarray, "3"]


def left_behind(
    picture: Float[Tensor, "1 3 h w"],
    source: Float[Tensor, "1 3 h w"],
    background: Float[Tensor, "1 3 h w"],
    region: Float[Tensor, "1 1 h w"],
) -> Left:
    """The sums over `region` (`uncovered`), a weight in [0, 1] for each pixel."""
    ours, still = picture - background, source - background
    return Left(float((ours * still * region).sum()), float((still.square() * region).sum()))


def eaten(
    picture: Float[Tensor, "1 3 h w"], source: Float[Tensor, "1 3 h w"], matte: Float[Tensor, "1 1 h w"]
) -> float:
    """Mean absolute difference inside the matte, of a picture in which the head should be as it is in the source."""
    difference = (picture - source).abs().mean(1, keepdim=True)
    return float((difference * matte).sum() / matte.sum().clamp(min=EPS))


def around_face(head: Float[Tensor, "1 1 h w"], mesh: Float[np.ndarray, "478 3"]) -> Float[Tensor, "1 1 h w"]:
    """The head without shoulders that are higher than the chin: what is near the face."""
    chin, forehead = mesh[CHIN, :2], mesh[FOREHEAD, :2]
    height = float(np.linalg.norm(chin - forehead))
    rows, columns = np.mgrid[: head.shape[2], : head.shape[3]] + 0.5
    far = np.linalg.norm(np.stack([columns, rows], -1) - (chin + forehead) / 2, axis=-1)
    return head * torch.from_numpy(far < NEAR * height).to(head)


def uncovered(
    head: Float[Tensor, "1 1 h w"], before: Float[np.ndarray, "478 3"], now: Float[np.ndarray, "478 3"]
) -> Float[Tensor, "1 1 h w"]:
    """Where the source's head was and is no longer, above the chin of the picture (below it may be neck).

    `before`, `now`: the meshes of source and picture. The head's outline turns less than its face, so a pixel counts
    only if the outline covers it neither as a flat disc through the ears nor as a ball.
    """
    margin = math.ceil(MARGIN * head.shape[3] / REFERENCE_SIDE)
    motion = rigid_motion(before, now)
    disc, ball = (_moved(head, linear, shift) for linear, shift in _outlines(motion, before))
    covered = F.max_pool2d(torch.maximum(disc, ball), 2 * margin + 1, 1, margin)
    return head * (1 - covered) * _above_chin(head, now, margin)


def rigid_motion(before: Float[np.ndarray, "n 3"], now: Float[np.ndarray, "n 3"]) -> RigidMotion:
    """The similarity now = scale rotation before + shift with the least squared error."""
    centres = before.mean(0), now.mean(0)
    a, b = before - centres[0], now - centres[1]
    u, spread, v = np.linalg.svd(b.T @ a)
    flip = np.array([1, 1, np.sign(np.linalg.det(u @ v))])
    rotation = (u * flip) @ v
    scale = float((spread * flip).sum() / (a**2).sum())
    return RigidMotion(scale, rotation, centres[1] - scale * rotation @ centres[0])


Affine = tuple[Float[np.ndarray, "2 2"], Float[np.ndarray, "2"]]


def _outlines(motion: RigidMotion, before: Float[np.ndarray, "478 3"]) -> tuple[Affine, Affine]:
    """How the outline moves: as a disc in the plane z = 0, and as a ball about the middle of the ears."""
    flat = motion.scale * motion.rotation[:2, :2]
    u, _, v = np.linalg.svd(flat)
    turn = motion.scale * u @ v
    middle = np.append(before[list(EARS), :2].mean(0), 0.0)
    carried = (motion.scale * motion.rotation @ middle + motion.shift)[:2]
    return (flat, motion.shift[:2]), (turn, carried - turn @ middle[:2])


def _moved(
    head: Float[Tensor, "1 1 h w"], linear: Float[np.ndarray, "2 2"], shift: Float[np.ndarray, "2"]
) -> Float[Tensor, "1 1 h w"]:
    """The head carried along: pixel z (centres at integer + 0.5) comes from linear^-1 (z - shift)."""
    height, width = head.shape[2:]
    rows, columns = np.mgrid[:height, :width] + 0.5
    at = (np.stack([columns, rows], -1) - shift) @ np.linalg.inv(linear).T
    grid = torch.from_numpy(at / (width, height) * 2 - 1).to(head)[None]
    return F.grid_sample(head, grid, padding_mode="border", align_corners=False)


def _above_chin(head: Float[Tensor, "1 1 h w"], mesh: Float[np.ndarray, "478 3"], margin: int) -> Tensor:
    down = mesh[CHIN, :2] - mesh[FOREHEAD, :2]
    rows, columns = np.mgrid[: head.shape[2], : head.shape[3]] + 0.5
    below = (np.stack([columns, rows], -1) - mesh[CHIN, :2]) @ (down / max(float(np.linalg.norm(down)), 1e-6))
    return torch.from_numpy(below < -margin).to(head)
