"""Photometric error P_e (Eq. 5), its minimum over neighbours with auto-mask, and the regularisers of stage 1.

Minimum reprojection, auto-mask and smoothness are those of the paper's reference [4].
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2  # Wang et al. 2004 (reference [28]), for a dynamic range of 1
UNUSABLE = 1e3  # above any P_e, so that a pixel out of view is never the minimum
TIE = 1e-5  # a warp must beat "nothing moved" by this much, else zero motion would count as moving


class MinimumError(NamedTuple):
    """Per-pixel minimum of P_e over the neighbours. `moving` is 1 where a reprojection explains the pixel best."""

    error: Float[Tensor, "b 1 h w"]
    moving: Float[Tensor, "b 1 h w"]
    reprojected: Float[Tensor, "b 1 h w"]
    unmoved: Float[Tensor, "b 1 h w"]


def ssim_map(x: Float[Tensor, "... c h w"], y: Float[Tensor, "... c h w"]) -> Float[Tensor, "... c h w"]:
    """Structural similarity in [-1, 1] of 3x3 windows with equal weights and reflected borders; 1 for equal images.

    Leading axes broadcast: several reconstructions of one frame share the frame's statistics.
    """
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    variance_x = _window_mean(x * x) - mean_x.square()
    variance_y = _window_mean(y * y) - mean_y.square()
    covariance = _window_mean(x * y) - mean_x * mean_y
    numerator = (2 * mean_x * mean_y + SSIM_C1) * (2 * covariance + SSIM_C2)
    denominator = (mean_x.square() + mean_y.square() + SSIM_C1) * (variance_x + variance_y + SSIM_C2)
    return numerator / denominator


def _window_mean(x: Float[Tensor, "... h w"]) -> Float[Tensor, "... h w"]:
    """3x3 mean, one axis after the other: twice as fast on a CPU as average pooling, and for any leading axes."""
    return _three_taps(_three_taps(x, -1, centre=1 / 3), -2, centre=1 / 3)


def soften(image: Float[Tensor, "... h w"]) -> Float[Tensor, "... h w"]:
    """The image blurred by (1, 2, 1) / 4 both ways, about as much as bilinear sampling between pixels blurs it."""
    return _three_taps(_three_taps(image, -1, centre=0.5), -2, centre=0.5)


def _three_taps(x: Tensor, axis: int, centre: float) -> Tensor:
    """Weights (1 - centre) / 2, centre, (1 - centre) / 2 along an axis, borders reflected."""
    length = x.shape[axis]
    padded = torch.cat([x.narrow(axis, 1, 1), x, x.narrow(axis, length - 2, 1)], axis)
    sides = padded.narrow(axis, 0, length) + padded.narrow(axis, 2, length)
    return sides * ((1 - centre) / 2) + x * centre


def photometric_error(
    reconstructed: Float[Tensor, "... 3 h w"], frame: Float[Tensor, "... 3 h w"], alpha: float = 0.8
) -> Float[Tensor, "... 1 h w"]:
    """Per-pixel photometric error P_e between a frame and its reconstruction (Eq. 5).

    Images are RGB in [0, 1]; the error is 0 for equal images. `alpha` weighs 1 - SSIM against L1. The release's error,
    0.85 (1 - SSIM) / 2 + 0.15 L1, is 0.575 times this one with alpha = 0.425 / 0.575. Leading axes broadcast.
    """
    structural = 1 - ssim_map(reconstructed, frame)
    absolute = (reconstructed - frame).abs()
    return (alpha * structural + (1 - alpha) * absolute).mean(-3, keepdim=True)


def minimum_reprojection(
    reconstructions: Float[Tensor, "n b 3 h w"],
    valid: Float[Tensor, "n b 1 h w"],
    neighbours: Float[Tensor, "m b 3 h w"],
    frame: Float[Tensor, "b 3 h w"],
    alpha: float = 0.8,
) -> MinimumError:
    """Least P_e over the reconstructions from n neighbours, and over m unwarped neighbours (auto-mask).

    A pixel that an unwarped neighbour explains best is static (background, or no texture) and gets no gradient. A
    reconstruction is not used where its `valid` is 0. With m = 0 nothing is masked; a pixel valid nowhere has error 0.
    """
    errors = photometric_error(reconstructions, frame, alpha)  # n b 1 h w
    reprojected = torch.where(valid > 0, errors, UNUSABLE).amin(0)
    never = torch.full_like(reprojected, UNUSABLE)
    with torch.no_grad():
        unmoved = torch.cat([never[None], photometric_error(neighbours, frame, alpha)]).amin(0)
    moving = reprojected + TIE < unmoved
    error = torch.where(moving, reprojected, unmoved)
    return MinimumError(torch.where(error < UNUSABLE, error, 0), moving.to(error.dtype), reprojected, unmoved)


def smoothness(disparity: Float[Tensor, "b 1 h w"], image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, ""]:
    """Mean slope of the mean-normalised disparity, forgiven at the image's edges by exp(-|dI|)."""
    normalised = disparity / (disparity.mean((2, 3), keepdim=True) + 1e-7)
    rows = normalised.diff(dim=2).abs() * torch.exp(-image.diff(dim=2).abs().mean(1, keepdim=True))
    columns = normalised.diff(dim=3).abs() * torch.exp(-image.diff(dim=3).abs().mean(1, keepdim=True))
    return rows.mean() + columns.mean()


def scale_consistency(
    projected_depth: Float[Tensor, "b 1 h w"],
    sampled_depth: Float[Tensor, "b 1 h w"],
    weight: Float[Tensor, "b 1 h w"],
) -> Float[Tensor, ""]:
    """Mean relative difference |a - b| / (a + b), in [0, 1), of a point's depth carried over and as seen there.

    Ties the free scale of one frame's depth to the next. `weight` (1 = counts) leaves out what is static or unseen.
    """
    difference = (projected_depth - sampled_depth).abs() / (projected_depth + sampled_depth).clamp(min=1e-6)
    return (difference * weight).sum() / weight.sum().clamp(min=1)
