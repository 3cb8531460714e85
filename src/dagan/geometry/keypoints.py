"""Heatmaps to keypoints, keypoints to Gaussians, and the relative transfer of motion between people."""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor

from dagan.geometry.grid import GridFunction, coordinate_grid


def position_from_heatmap(
    heatmap: Float[Tensor, "b k h w"], build_grid: GridFunction = coordinate_grid
) -> Float[Tensor, "b k 2"]:
    """Expected position under each heatmap (rows sum to 1 over pixels): the soft arg-max of Eq. 6's detector."""
    grid = build_grid(heatmap.shape[2], heatmap.shape[3], heatmap)
    return einsum(heatmap, grid, "b k h w, h w d -> b k d")


def position_in_order(
    heatmap: Float[Tensor, "b k h w"], build_grid: GridFunction = coordinate_grid
) -> Float[Tensor, "b k 2"]:
    """As `position_from_heatmap`, summed pixel after pixel as published models do."""
    grid = build_grid(heatmap.shape[2], heatmap.shape[3], heatmap)
    return (heatmap[..., None] * grid).sum((2, 3))


def mean_under_heatmap(maps: Float[Tensor, "b k d h w"], heatmap: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k d"]:
    """Each keypoint's maps averaged under its heatmap."""
    return einsum(maps, heatmap, "b k d h w, b k h w -> b k d")


def mean_in_order(maps: Float[Tensor, "b k d h w"], heatmap: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k d"]:
    """As `mean_under_heatmap`, summed pixel after pixel as published models do."""
    return (heatmap[:, :, None] * maps).flatten(3).sum(-1)


def mean_of_convolution(
    features: Float[Tensor, "b c h w"],
    weight: Float[Tensor, "kd c i j"],
    bias: Float[Tensor, " kd"],
    heatmap: Float[Tensor, "b k h2 w2"],
) -> Float[Tensor, "b k d"]:
    """`mean_under_heatmap` of the maps that a convolution makes of features, d maps for each of k keypoints.

    A mean of a convolution is the convolution of means: the features are averaged under each heatmap, moved to each
    tap, and weighted once: 1/d of the multiplications, and no maps. The padding is what the sizes of features and
    heatmap say; heatmaps sum to 1. Features are averaged in their own precision, with sums in float32.
    """
    num_keypoints, side = heatmap.shape[1], weight.shape[-1]
    reach = (features.shape[2] - heatmap.shape[2] + side - 1) // 2
    moved: Tensor = _Moved.apply(heatmap.to(features.dtype), side, reach)  # type: ignore[no-untyped-call]
    at_taps = rearrange(moved, "b k t h w -> b (k t) (h w)") @ rearrange(features, "b c h w -> b (h w) c")
    at_taps = rearrange(at_taps, "b (k t) c -> b k t c", k=num_keypoints).to(weight.dtype)
    taps = rearrange(weight.flip(2, 3), "(k d) c i j -> k d (i j) c", k=num_keypoints)
    return einsum(at_taps, taps, "b k t c, k d t c -> b k d") + rearrange(bias, "(k d) -> k d", k=num_keypoints)


class _Moved(torch.autograd.Function):
    """Maps moved to each of side x side taps, zeros entering: `F.unfold`, at a fifth of its time."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, maps: Tensor, side: int, reach: int) -> Tensor:
        ctx.side, ctx.reach = side, reach  # type: ignore[attr-defined]
        padded = F.pad(maps, (reach, reach, reach, reach))
        return torch.stack(list(_windows(padded, side)), dim=2)  # b k (i j) h w

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None]:
        side, reach = ctx.side, ctx.reach  # type: ignore[attr-defined]
        batch, count, _, height, width = gradient.shape
        padded = gradient.new_zeros(batch, count, height + side - 1, width + side - 1)
        for window, part in zip(_windows(padded, side), gradient.unbind(2), strict=True):
            window += part
        bottom, right = padded.shape[2] - reach, padded.shape[3] - reach
        return padded[:, :, reach:bottom, reach:right], None, None


def _windows(padded: Tensor, side: int) -> Iterator[Tensor]:
    """The views at every offset below `side`, row after row."""
    height, width = padded.shape[2] - side + 1, padded.shape[3] - side + 1
    for i in range(side):
        for j in range(side):
            yield padded[:, :, i : i + height, j : j + width]


class Averages(NamedTuple):
    """Means under heatmaps: of the coordinates, and of other maps."""

    position: Callable[[Tensor, GridFunction], Tensor]
    maps: Callable[[Tensor, Tensor], Tensor]


Summation = Literal["product", "in_order"]
# One matrix product, or pixel after pixel: they differ in the seventh digit, which a warped 256 px image shows in the
# fourth, so published results are reproduced in the published order.
AVERAGES: dict[str, Averages] = {
    "product": Averages(position_from_heatmap, mean_under_heatmap),
    "in_order": Averages(position_in_order, mean_in_order),
}


def gaussians(
    position: Float[Tensor, "b k 2"],
    size: tuple[int, int],
    variance: float,
    build_grid: GridFunction = coordinate_grid,
) -> Float[Tensor, "b k h w"]:
    """A Gaussian of height 1 around each keypoint, variance in squared [-1, 1] units."""
    grid = build_grid(*size, position)
    squared = (grid - rearrange(position, "b k d -> b k 1 1 d")).square().sum(-1)  # b k h w
    return torch.exp(-0.5 * squared / variance)
