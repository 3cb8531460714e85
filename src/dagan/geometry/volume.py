"""Coordinates, sampling and Gaussians in three dimensions: (x, y, z) in [-1, 1], x right, y down, z into the picture.

A volume is `b c d h w`; a flow in it is `b d h w 3`.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from dagan.geometry.warp import trainable


def _centres(count: int, like: Tensor) -> Float[Tensor, " n"]:
    return (2 * torch.arange(count, device=like.device) + 1) / count - 1


def _corners(count: int, like: Tensor) -> Float[Tensor, " n"]:
    return 2 * (torch.arange(count, device=like.device) / max(count - 1, 1)) - 1


def volume_grid(
    size: tuple[int, int, int], like: Tensor, axis: Callable[[int, Tensor], Tensor] = _centres
) -> Float[Tensor, "d h w 3"]:
    """The coordinates of all voxels, with the device and dtype of `like`."""
    z, y, x = torch.meshgrid(*(axis(count, like) for count in size), indexing="ij")
    return torch.stack([x, y, z], dim=-1).to(like.dtype)


def warp_volume(
    volume: Float[Tensor, "b c d h w"], flow: Float[Tensor, "b d2 h2 w2 3"], padding: str = "border"
) -> Float[Tensor, "b c d2 h2 w2"]:
    """The volume sampled trilinearly at `flow`, whose -1 and +1 are the outer faces. `padding`: border or zeros."""
    with torch.autocast(volume.device.type, enabled=False):
        at = flow.float() if padding == "zeros" else trainable(flow.float())
        return F.grid_sample(volume.float(), at, padding_mode=padding, align_corners=False).to(volume.dtype)


class Voxels(NamedTuple):
    """How coordinates and voxels belong together, as `warp.Pixels` for images."""

    grid: Callable[[tuple[int, int, int], Tensor], Tensor]
    warp: Callable[[Tensor, Tensor], Tensor]


VOXELS = {
    "centres": Voxels(volume_grid, warp_volume),
    "mixed": Voxels(partial(volume_grid, axis=_corners), partial(warp_volume, padding="zeros")),
}


def gaussians_3d(
    position: Float[Tensor, "b k 3"], grid: Float[Tensor, "d h w 3"], variance: float
) -> Float[Tensor, "b k d h w"]:
    """A Gaussian of height 1 about each point."""
    squared = (grid - rearrange(position, "b k i -> b k 1 1 1 i")).square().sum(-1)
    return torch.exp(-0.5 * squared / variance)


def rotations(angle: Float[Tensor, " b"]) -> tuple[Tensor, Tensor, Tensor]:
    """Rotations by an angle (radians) about x, about y and about z, `b 3 3` each."""
    c, s, one, zero = angle.cos(), angle.sin(), torch.ones_like(angle), torch.zeros_like(angle)
    about_x = (one, zero, zero, zero, c, -s, zero, s, c)
    about_y = (c, zero, s, zero, one, zero, -s, zero, c)
    about_z = (c, -s, zero, s, c, zero, zero, zero, one)
    first, second, third = (
        rearrange(torch.stack(turn, -1), "b (i j) -> b i j", i=3) for turn in (about_x, about_y, about_z)
    )
    return first, second, third
