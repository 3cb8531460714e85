"""Backward warping W_p (Eqs. 4, 8): each output pixel is read from where `flow` points.

Ours is `warp`. Published models read their flows otherwise; `PIXELS` names the conventions.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from dagan.geometry.grid import GridFunction, coordinate_grid, corner_grid, resize_flow


def warp(features: Float[Tensor, "b c h w"], flow: Float[Tensor, "b hf wf 2"]) -> Float[Tensor, "b c h w"]:
    """`features` sampled bilinearly at `flow`, which is resized to them; the border repeats outside the image.

    Identity flow returns the input exactly. Sampling positions are computed in float32 also under autocast, since
    bfloat16 cannot tell neighbouring pixels apart near the edges.
    """
    with torch.autocast(features.device.type, enabled=False):
        at = trainable(resize_flow(flow.float(), (features.shape[2], features.shape[3])))
        return F.grid_sample(features.float(), at, mode="bilinear", padding_mode="border", align_corners=False).to(
            features.dtype
        )


def trainable(grid: Float[Tensor, "b *size d"]) -> Float[Tensor, "b *size d"]:
    """Sampling positions without NaN while gradients are followed, for any padding but zeros.

    At NaN the backward pass of `grid_sample` writes outside of its memory on a CPU (PyTorch 2.13). The gradients of
    what made the position NaN are NaN all the same, by which a training notices.
    """
    infinite = float("inf")
    return torch.nan_to_num(grid, 0.0, infinite, -infinite) if torch.is_grad_enabled() else grid


def warp_or_zero(
    features: Float[Tensor, "b c h w"], flow: Float[Tensor, "b hf wf 2"], align_corners: bool
) -> Float[Tensor, "b c h w"]:
    """Sampling as published models do it: zeros outside, and a flow of another size resized as positions.

    `align_corners` says what -1 and +1 mean to the sampling: the outermost pixel centres, or the outer edges.
    """
    size = (features.shape[2], features.shape[3])
    with torch.autocast(features.device.type, enabled=False):
        at = flow.float()
        if (flow.shape[1], flow.shape[2]) != size:
            positions = rearrange(at, "b h w d -> b d h w")
            resized = F.interpolate(positions, size, mode="bilinear", align_corners=False)
            at = rearrange(resized, "b d h w -> b h w d")
        sampled = F.grid_sample(features.float(), at, padding_mode="zeros", align_corners=align_corners)
    return sampled.to(features.dtype)


def occlude(warped: Float[Tensor, "b c h w"], occlusion: Float[Tensor, "b 1 h2 w2"]) -> Float[Tensor, "b c h w"]:
    """The warped feature times the occlusion map (Eq. 8), the map resized bilinearly when sizes differ."""
    size = (warped.shape[2], warped.shape[3])
    if occlusion.shape[2:] != torch.Size(size):
        occlusion = F.interpolate(occlusion, size, mode="bilinear", align_corners=False)
    return warped * occlusion.to(warped.dtype)


class Pixels(NamedTuple):
    """How coordinates and pixels belong together in one model: the grids it builds, and how it samples."""

    grid: GridFunction
    warp: Callable[[Tensor, Tensor], Tensor]  # features, flow -> features
    align_corners: bool  # for sampling that is not a `warp`

    def to_edges(self, flow: Float[Tensor, "b h w 2"], side: int) -> Float[Tensor, "b h w 2"]:
        """A flow into an image of `side` pixels, as positions of which -1 and +1 are the image's outer edges."""
        return flow * ((side - 1) / side) if self.align_corners else flow


PixelConvention = Literal["centres", "mixed", "corners"]
PIXELS: dict[str, Pixels] = {
    # ours: one meaning of -1 and +1 everywhere, the outer edges; the border repeats
    "centres": Pixels(coordinate_grid, warp, align_corners=False),
    # released DaGAN: grids are built from corner to corner, yet sampled as if -1 and +1 were the edges
    "mixed": Pixels(corner_grid, partial(warp_or_zero, align_corners=False), align_corners=False),
    # FOMM's first weights: their library still sampled from corner to corner
    "corners": Pixels(corner_grid, partial(warp_or_zero, align_corners=True), align_corners=True),
}
