"""Pinhole camera: axis-angle rotations, back-projection, projection, reprojection into a neighbour (Eqs. 3, 4).

Intrinsics are in pixels with pixel centres at integer + 0.5, so a camera for another resolution is the same matrix with
its first two rows scaled. The camera looks along +z; x is right and y is down.
"""

from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from dagan.types import CameraPose

SMALL_ANGLE_SQUARED = 1e-4  # below this the Taylor series is exact to 1e-12 and, unlike sqrt, differentiable at 0
NEAREST_DEPTH = 1e-3  # points nearer than this (or behind the camera) are not in front; also guards the division


class Reprojection(NamedTuple):
    """Where each pixel lands in the neighbouring frame: q_k of Eq. 3 as a sampling grid, and which of them are usable.

    `grid` is (x, y) in [-1, 1] with edges at -1/+1; `valid` is 1 where the point lies in front of the camera and inside
    the frame, else 0; `depth` is the point's depth as seen by the neighbouring camera.
    """

    grid: Float[Tensor, "b h w 2"]
    valid: Float[Tensor, "b 1 h w"]
    depth: Float[Tensor, "b 1 h w"]


def rotation_from_axis_angle(axis_angle: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3 3"]:
    """Rotation matrices by Rodrigues' formula; the vector's length is the angle in radians. Smooth at zero."""
    squared = axis_angle.square().sum(-1)[:, None, None]  # b 1 1
    is_small = squared < SMALL_ANGLE_SQUARED
    angle = torch.where(is_small, torch.ones_like(squared), squared).sqrt()
    sine_ratio = torch.where(is_small, 1 - squared / 6 + squared.square() / 120, angle.sin() / angle)
    cosine_ratio = torch.where(
        is_small, 0.5 - squared / 24 + squared.square() / 720, (1 - angle.cos()) / angle.square()
    )
    cross = _cross_product_matrix(axis_angle)
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return identity + sine_ratio * cross + cosine_ratio * (cross @ cross)


def _cross_product_matrix(vector: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3 3"]:
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return rearrange(torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1), "b (r c) -> b r c", r=3)


def scale_intrinsics(intrinsics: Float[Tensor, "b 3 3"], scale: float) -> Float[Tensor, "b 3 3"]:
    """The camera of the same images resized by `scale`: the first two rows times `scale`, exactly."""
    factors = torch.tensor([scale, scale, 1.0], dtype=intrinsics.dtype, device=intrinsics.device)
    return intrinsics * factors[:, None]


def pixel_centres(height: int, width: int, like: Tensor) -> Float[Tensor, "h w 2"]:
    """(x, y) of every pixel centre in pixels, at integer + 0.5, with the type and device of `like`."""
    y = torch.arange(height, dtype=like.dtype, device=like.device) + 0.5
    x = torch.arange(width, dtype=like.dtype, device=like.device) + 0.5
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)


def back_project(
    depth: Float[Tensor, "b 1 h w"], inverse_intrinsics: Float[Tensor, "b 3 3"]
) -> Float[Tensor, "b 3 h w"]:
    """Camera-space points D(p) K^-1 p of every pixel centre (inner part of Eq. 3), in the depth's unit."""
    centres = pixel_centres(depth.shape[-2], depth.shape[-1], like=depth)
    homogeneous = torch.cat([centres, torch.ones_like(centres[..., :1])], -1)  # h w 3
    return torch.einsum("bij,hwj->bihw", inverse_intrinsics, homogeneous) * depth


def project(points: Float[Tensor, "b 3 h w"], intrinsics: Float[Tensor, "b 3 3"]) -> Float[Tensor, "b h w 2"]:
    """Pixel coordinates (x, y) of camera-space points, centres at integer + 0.5 (outer part of Eq. 3).

    Points nearer than `NEAREST_DEPTH` or behind the camera get finite but meaningless coordinates: mask them.
    """
    projected = torch.einsum("bij,bjhw->bhwi", intrinsics, points)  # b h w 3
    return projected[..., :2] / projected[..., 2:].clamp(min=NEAREST_DEPTH)


def reproject(depth: Float[Tensor, "b 1 h w"], pose: CameraPose) -> Reprojection:
    """Each pixel carried to the neighbouring frame: q ~ K [R | t] D(p) K^-1 p (Eq. 3).

    `pose.intrinsics` must be those of `depth`'s resolution. The grid is for `align_corners=False`.
    """
    height, width = depth.shape[-2:]
    points = back_project(depth, torch.linalg.inv(pose.intrinsics))
    moved = torch.einsum("bij,bjhw->bihw", pose.rotation, points) + pose.translation[:, :, None, None]
    size = torch.tensor([width, height], dtype=depth.dtype, device=depth.device)
    grid = project(moved, pose.intrinsics) * (2 / size) - 1
    moved_depth = moved[:, 2:]  # b 1 h w
    inside = (grid.abs() <= 1).all(-1)[:, None]
    valid = inside & (moved_depth > NEAREST_DEPTH)
    return Reprojection(grid, valid.to(depth.dtype), moved_depth)
