"""PSNR of Table 1: peak signal-to-noise ratio. Accumulate with `Mean`."""

from jaxtyping import Float
from torch import Tensor

MAX_PSNR = 100.0  # decibels, given to equal images: an infinite value would swallow the mean of all others


def psnr(generated: Float[Tensor, "b 3 h w"], driving: Float[Tensor, "b 3 h w"]) -> Float[Tensor, " b"]:
    """Peak signal-to-noise ratio of each pair in decibels, at most `MAX_PSNR`; images in [0, 1], higher is better."""
    squared_error = (generated - driving).square().mean(dim=(1, 2, 3))  # b
    return -10 * squared_error.clamp(min=10 ** (-MAX_PSNR / 10)).log10()
