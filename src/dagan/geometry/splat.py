"""Pictures from another camera: coloured points thrown onto its image plane, the nearer before the farther."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

SAME_SURFACE = 0.02  # relative depth: points this close behind the nearest one belong to its surface
OPAQUE = 0.6  # weight at which a surface hides what is behind it; a surface stretched by 1 / OPAQUE still does
BORDER = 2  # pixels around the picture that take what falls outside
EPS = 1e-6


def splat(
    at: Float[Tensor, "2 n"], depth: Float[Tensor, " n"], colour: Float[Tensor, "3 n"], height: int, width: int
) -> tuple[Float[Tensor, "1 3 h w"], Float[Tensor, "1 1 h w"]]:
    """Points drawn with a z-buffer, and how much of each pixel they cover (0 to 1).

    `at` is in pixels, centres at integer + 0.5. Each point falls on the four pixels around it, with bilinear weights.
    In a pixel, what lies within `SAME_SURFACE` of the nearest point is blended into one surface; the rest shows
    through by as much as that surface leaves uncovered, which makes outlines smooth.
    """
    wide, high = width + 2 * BORDER, height + 2 * BORDER
    num_pixels = wide * high
    corner = (at - 0.5).floor()
    share = at - 0.5 - corner  # 2 n
    column, row = ((corner[axis] + BORDER).clamp(0, size - BORDER).long() for axis, size in enumerate((wide, high)))
    first = row * wide + column
    footprints = [
        (first + down * wide + right, _share(share[0], right) * _share(share[1], down))
        for down in (0, 1)
        for right in (0, 1)
    ]
    nearest = depth.new_full((num_pixels,), torch.inf)
    for pixel, _ in footprints:
        nearest.scatter_reduce_(0, pixel, depth, "amin")
    nearest *= 1 + SAME_SURFACE
    values = torch.cat([colour, torch.ones_like(colour[:1])])  # 4 n
    sums = values.new_zeros(4, 2 * num_pixels)
    for pixel, weight in footprints:
        sums.index_add_(1, pixel + (depth > nearest[pixel]) * num_pixels, values * weight)
    front, back = sums.view(4, 2, high, wide)[..., BORDER:-BORDER, BORDER:-BORDER].unbind(1)
    front_share = _cover(front)
    back_share = _cover(back) * (1 - front_share)
    cover = front_share + back_share
    mixed = (_mean_colour(front) * front_share + _mean_colour(back) * back_share) / cover.clamp_min(EPS)
    return mixed[None], cover[None]


def _share(share: Float[Tensor, " n"], step: int) -> Float[Tensor, " n"]:
    return share if step else 1 - share


def _cover(sums: Float[Tensor, "4 h w"]) -> Float[Tensor, "1 h w"]:
    return (sums[3:] / OPAQUE).clamp(max=1)


def _mean_colour(sums: Float[Tensor, "4 h w"]) -> Float[Tensor, "3 h w"]:
    return sums[:3] / sums[3:].clamp_min(EPS)


def fill_holes(image: Float[Tensor, "1 c h w"], cover: Float[Tensor, "1 1 h w"]) -> Float[Tensor, "1 c h w"]:
    """The picture with uncovered pixels filled from ever coarser pictures of what is covered (pull-push)."""
    height, width = image.shape[2:]
    if min(height, width) < 2 or bool((cover >= 1).all()):
        return image
    known = image * cover
    size = ((height + 1) // 2, (width + 1) // 2)
    coarse_cover = functional.adaptive_avg_pool2d(cover, size)
    coarse = functional.adaptive_avg_pool2d(known, size) / coarse_cover.clamp_min(EPS)
    filled = fill_holes(coarse, (coarse_cover * 4).clamp(max=1))
    behind = functional.interpolate(filled, (height, width), mode="bilinear", align_corners=False)
    return known + behind * (1 - cover)
