"""Where depth jumps: smeared jumps made sharp, outlines widened, and what is put behind them.

A surface that falls away at more than `STEEPEST` is taken to be two surfaces, one before the other. In log depth, that
is a step of STEEPEST / focal per pixel, whatever the resolution and the unit of depth.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

STEEPEST = 4.0  # depth over width: a surface seen at less than 14 degrees
WIDEST_RAMP = 0.1  # of the map's longer side: how wide a jump may be smeared out and still be put back together
LEAST_JUMP = 0.05  # of the depth: the background is farther behind a head than a cheek behind a nose
MIXED = 2  # pixels beyond an outline that may have the colours of both sides
DIAGONAL = 2**0.5  # pixels


def spread(
    values: Float[Tensor, "1 c h w"],
    known: Bool[Tensor, "1 1 h w"],
    domain: Bool[Tensor, "1 1 h w"],
    steps: int,
) -> tuple[Float[Tensor, "1 c h w"], Bool[Tensor, "1 1 h w"]]:
    """Values grown from where they are known into `domain`, a pixel a step, each the mean of its known neighbours.

    Also says where they are known at the end; elsewhere they are 0.
    """
    grown = values * known
    for _ in range(steps):
        weight = functional.avg_pool2d(known.to(values.dtype), 3, stride=1, padding=1)
        reached = domain & ~known & (weight > 0)
        if not bool(reached.any()):
            break
        mean = functional.avg_pool2d(grown, 3, stride=1, padding=1) / weight.clamp_min(1e-6)
        grown = torch.where(reached, mean, grown)
        known = known | reached
    return grown, known


def soften(
    values: Float[Tensor, "1 c h w"],
    known: Bool[Tensor, "1 1 h w"],
    domain: Bool[Tensor, "1 1 h w"],
    steps: int,
) -> Float[Tensor, "1 c h w"]:
    """Values in `domain` averaged with their known neighbours, again and again: the front's streaks fade."""
    weight = functional.avg_pool2d(known.to(values.dtype), 3, stride=1, padding=1).clamp_min(1e-6)
    for _ in range(steps):
        mean = functional.avg_pool2d(values * known, 3, stride=1, padding=1) / weight
        values = torch.where(domain & known, mean, values)
    return values


def sharpen_jumps(
    depth: Float[Tensor, "1 1 h w"], focal: float, steepest: float = STEEPEST
) -> Float[Tensor, "1 1 h w"]:
    """Depth whose smeared-out jumps are steps of one pixel. `focal` is in pixels of the map.

    A network draws the outline of a head as a ramp some pixels wide; as a surface it would be a sheet of rubber between
    head and background. Each pixel of a ramp gets the depth of that end of the ramp that it is on the side of.
    """
    reach = max(2, round(WIDEST_RAMP * max(depth.shape[2:])))
    steep = _log_slope(depth) > steepest / focal
    ramp = _dilate(steep, 1)
    near = depth < _box_mean(depth, reach)
    sharp = depth
    for side in (near, ~near):
        grown, known = spread(depth, ~ramp & side, ramp & side, reach)
        grown = soften(grown, known, ramp & side, reach)
        sharp = torch.where(ramp & side & known, grown, sharp)
    return sharp


def _log_slope(depth: Float[Tensor, "1 1 h w"]) -> Float[Tensor, "1 1 h w"]:
    """Length of the gradient of log depth, per pixel, by central differences."""
    padded = functional.pad(depth.log(), (1, 1, 1, 1), mode="replicate")
    across = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    down = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    return torch.hypot(across, down)


def _box_mean(values: Float[Tensor, "1 1 h w"], radius: int) -> Float[Tensor, "1 1 h w"]:
    """Mean of the square around each pixel, of as much of it as is inside; rows first, then columns."""
    size = 2 * radius + 1
    rows = functional.avg_pool2d(values, (1, size), stride=1, padding=(0, radius), count_include_pad=False)
    return functional.avg_pool2d(rows, (size, 1), stride=1, padding=(radius, 0), count_include_pad=False)


def _box_maximum(values: Float[Tensor, "1 1 h w"], radius: int) -> Float[Tensor, "1 1 h w"]:
    """Maximum of the square around each pixel; rows first, then columns."""
    size = 2 * radius + 1
    rows = functional.max_pool2d(values, (1, size), stride=1, padding=(0, radius))
    return functional.max_pool2d(rows, (size, 1), stride=1, padding=(radius, 0))


def _dilate(mask: Bool[Tensor, "1 1 h w"], radius: int) -> Bool[Tensor, "1 1 h w"]:
    return _box_maximum(mask.float(), radius) > 0


def widen_outlines(
    depth: Float[Tensor, "1 1 h w"], focal: float, steepest: float = STEEPEST
) -> Float[Tensor, "1 1 h w"]:
    """Depth whose nearer side is widened by `MIXED` pixels wherever it jumps.

    The pixels along an outline are a mixture of both colours, and look right only when they go with the nearer side.
    """
    nearest = -_box_maximum(-depth, MIXED)
    return torch.where(depth.log() - nearest.log() > _jump(focal, steepest), nearest, depth)


def _jump(focal: float, steepest: float) -> float:
    """The step in log depth between neighbouring pixels from which they belong to two surfaces to be parted."""
    return max(steepest / focal * DIAGONAL, LEAST_JUMP)


class Hidden(NamedTuple):
    """What is put behind the outlines of a surface: a colour and a depth for the pixels of `mask`."""

    image: Float[Tensor, "1 3 h w"]
    depth: Float[Tensor, "1 1 h w"]
    mask: Bool[Tensor, "1 1 h w"]


def hidden_layer(
    image: Float[Tensor, "1 3 h w"],
    depth: Float[Tensor, "1 1 h w"],
    focal: float,
    reach: int,
    steepest: float = STEEPEST,
) -> Hidden:
    """The farther surface continued behind the nearer one by `reach` pixels, wherever depth jumps.

    A camera that moves aside then sees more of the background instead of a hole. Jumps within a head are left alone.
    """
    log_depth, jump = depth.log(), _jump(focal, steepest)
    edge = log_depth + _box_maximum(-log_depth, 1) > jump  # pixels just beyond a jump
    beyond = torch.where(edge, log_depth, torch.full_like(log_depth, -torch.inf))
    behind = log_depth < _box_maximum(beyond, reach) - jump
    known = _dilate(edge, MIXED) & ~behind
    grown, filled = spread(torch.cat([image, depth], 1), known, behind, reach)
    grown = soften(grown, filled, behind, reach // 2)
    return Hidden(grown[:, :3], grown[:, 3:], filled & behind & (grown[:, 3:] > depth))
