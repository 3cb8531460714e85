"""A depth map as a surface: the points and triangles it is made of, none of them across a jump."""

from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from dagan.geometry.camera import back_project, pixel_centres
from dagan.geometry.jumps import DIAGONAL, STEEPEST, sharpen_jumps


class Mesh(NamedTuple):
    """A textured surface in viewer's axes: x right, y up, z towards the viewer.

    Triangles are counterclockwise seen from the front. `texture_at` is (x, y) in the picture, 0 and 1 its outer edges,
    y down, as glTF has it. Normals have length 1.
    """

    position: Float[Tensor, "n 3"]
    normal: Float[Tensor, "n 3"]
    texture_at: Float[Tensor, "n 2"]
    triangles: Int[Tensor, "m 3"]


class PointCloud(NamedTuple):
    """Coloured points in the axes of `Mesh`; colours are RGB in [0, 1]."""

    position: Float[Tensor, "n 3"]
    normal: Float[Tensor, "n 3"]
    colour: Float[Tensor, "n 3"]


def middle_depth(depth: Float[Tensor, "1 1 h w"]) -> float:
    """The median depth of the map's middle (half its sides): in a portrait, that of the face."""
    height, width = depth.shape[2:]
    middle = depth[0, 0, height // 4 : -(height // 4) or None, width // 4 : -(width // 4) or None]
    return float(middle.median())


def triangulate(depth: Float[Tensor, "1 1 h w"], focal: float, steepest: float = STEEPEST) -> Int[Tensor, "m 3"]:
    """Triangles between neighbouring pixels (indices in row order), none of them across a jump of depth.

    Each square of four pixels is split along the diagonal on which depth changes less.
    """
    height, width = depth.shape[2:]
    index = rearrange(torch.arange(height * width, device=depth.device), "(h w) -> h w", w=width)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    z = depth[0, 0].log().flatten()
    along_ad = (z[a] - z[d]).abs() < (z[b] - z[c]).abs()
    first = torch.where(along_ad[..., None], torch.stack([a, c, d], -1), torch.stack([a, c, b], -1))
    second = torch.where(along_ad[..., None], torch.stack([a, d, b], -1), torch.stack([b, c, d], -1))
    triangles = rearrange(torch.stack([first, second], 2), "h w two corner -> (h w two) corner")
    corners = z[triangles]
    return triangles[corners.amax(1) - corners.amin(1) <= steepest / focal * DIAGONAL]


def mesh_from_depth(
    depth: Float[Tensor, "1 1 h w"], intrinsics: Float[Tensor, "1 3 3"], steepest: float = STEEPEST
) -> Mesh:
    """The surface of a depth map: one vertex per pixel that is in a triangle. Depth's unit; origin at `middle_depth`.

    The camera that took the picture is at (0, 0, middle_depth) and looks along -z. Smeared jumps are sharpened first.
    """
    focal = float(intrinsics[0, 0, 0])
    sharp = sharpen_jumps(depth, focal, steepest)
    triangles = triangulate(sharp, focal, steepest)
    points = rearrange(back_project(sharp, torch.linalg.inv(intrinsics)), "1 d h w -> (h w) d")
    origin = points.new_tensor([0.0, 0.0, middle_depth(depth)])
    position = (points - origin) * points.new_tensor([1.0, -1.0, -1.0])
    height, width = depth.shape[2:]
    texture_at = pixel_centres(height, width, depth).flatten(0, 1) / depth.new_tensor([width, height])
    used, triangles = torch.unique(triangles, return_inverse=True)
    return Mesh(position[used], vertex_normals(position[used], triangles), texture_at[used], triangles)


def vertex_normals(position: Float[Tensor, "n 3"], triangles: Int[Tensor, "m 3"]) -> Float[Tensor, "n 3"]:
    """Unit normals: the mean of those of the triangles around each vertex, weighted by area."""
    a, b, c = position[triangles].unbind(1)
    across = torch.linalg.cross(b - a, c - a)
    total = torch.zeros_like(position)
    for corner in range(3):
        total.index_add_(0, triangles[:, corner], across)
    return functional.normalize(total, dim=1, eps=1e-20)


def cloud_from_depth(
    image: Float[Tensor, "1 3 h w"],
    depth: Float[Tensor, "1 1 h w"],
    intrinsics: Float[Tensor, "1 3 3"],
    steepest: float = STEEPEST,
) -> PointCloud:
    """The vertices of `mesh_from_depth` with the colours of their pixels: a cloud without points between surfaces."""
    mesh = mesh_from_depth(depth, intrinsics, steepest)
    height, width = depth.shape[2:]
    pixel = (mesh.texture_at * depth.new_tensor([width, height])).long()  # n 2, rounded down to the pixel
    return PointCloud(mesh.position, mesh.normal, image[0, :, pixel[:, 1], pixel[:, 0]].T)
