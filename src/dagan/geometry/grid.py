"""Coordinate grids and flow fields, (x, y) in [-1, 1] with -1 and +1 the outer image edges.

`corner_grid` is the one exception: the grid that published models were trained with.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

GridFunction = Callable[[int, int, Tensor], Tensor]  # height, width, like -> h w 2


def coordinate_grid(height: int, width: int, like: Tensor) -> Float[Tensor, "h w 2"]:
    """The coordinates z of all pixel centres, with the device and dtype of `like`."""
    x = (2 * torch.arange(width, device=like.device) + 1) / width - 1
    y = (2 * torch.arange(height, device=like.device) + 1) / height - 1
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([columns, rows], dim=-1).to(like.dtype)


def corner_grid(height: int, width: int, like: Tensor) -> Float[Tensor, "h w 2"]:
    """As `coordinate_grid`, but -1 and +1 are the outermost pixel *centres*, as in published models."""
    x = 2 * (torch.arange(width, device=like.device) / max(width - 1, 1)) - 1
    y = 2 * (torch.arange(height, device=like.device) / max(height - 1, 1)) - 1
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([columns, rows], dim=-1).to(like.dtype)


def resize_flow(flow: Float[Tensor, "b h w 2"], size: tuple[int, int]) -> Float[Tensor, "b h2 w2 2"]:
    """The same absolute sampling positions on a grid of another size, bilinear, linear beyond the outer centres.

    Bilinear interpolation alone repeats the outermost values, which would shrink identity motion at the border;
    so the displacement from the identity grid is what is resized.
    """
    height, width = flow.shape[1:3]
    if (height, width) == size:
        return flow
    displacement = rearrange(flow - coordinate_grid(height, width, flow), "b h w d -> b d h w")
    resized = F.interpolate(displacement, size=size, mode="bilinear", align_corners=False)
    return rearrange(resized, "b d h w -> b h w d") + coordinate_grid(*size, flow)
