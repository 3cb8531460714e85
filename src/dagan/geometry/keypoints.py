"""Heatmaps to keypoints, keypoints to Gaussians, and the relative transfer of motion between people."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor

from dagan.geometry.grid import GridFunction, coordinate_grid
from dagan.types import Keypoints


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


def hull_area(position: Float[Tensor, "b k 2"]) -> Float[Tensor, " b"]:
    """Area of the convex hull of each image's keypoints, in squared [-1, 1] units (monotone chain, on the host)."""
    areas = [_polygon_area(_convex_hull([(float(x), float(y)) for x, y in points])) for points in position.cpu()]
    return torch.tensor(areas, dtype=position.dtype, device=position.device)


def transfer(
    source: Keypoints,
    driving: Keypoints,
    driving_initial: Keypoints,
    relative: bool = True,
    adapt_scale: bool = False,
) -> Keypoints:
    """The keypoints that move the source as the driver moved since its initial frame (FOMM's relative transfer).

    Positions: x_s + scale * (x_d - x_d0); jacobians: J_d J_d0^-1 J_s. `adapt_scale` sets scale to the square root of
    the ratio of hull areas, source over initial driving frame. Not relative: the driving keypoints, scaled about
    nothing, as they are.
    """
    if not relative:
        return driving
    scale = position_scale(source, driving_initial) if adapt_scale else torch.ones_like(source.position[:, 0, 0])
    moved = rearrange(scale, "b -> b 1 1") * (driving.position - driving_initial.position)
    if source.jacobian is None or driving.jacobian is None or driving_initial.jacobian is None:
        return Keypoints(source.position + moved)
    turn = driving.jacobian @ torch.linalg.inv(driving_initial.jacobian)
    return Keypoints(source.position + moved, turn @ source.jacobian)


def position_scale(source: Keypoints, driving_initial: Keypoints) -> Float[Tensor, " b"]:
    """How much larger the source's face is than the driver's: square root of the ratio of hull areas."""
    return (hull_area(source.position) / hull_area(driving_initial.position)).sqrt()


def _convex_hull(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    ordered = sorted(set(points))
    lower, upper = _half_hull(ordered), _half_hull(ordered[::-1])
    return lower[:-1] + upper[:-1]


def _half_hull(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    chain: list[tuple[float, float]] = []
    for point in points:
        while len(chain) > 1 and _turn(chain[-2], chain[-1], point) <= 0:
            chain.pop()
        chain.append(point)
    return chain


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _polygon_area(corners: list[tuple[float, float]]) -> float:
    following = corners[1:] + corners[:1]
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(corners, following, strict=True))) / 2
