"""Metrics inside a region: colour differences, fine detail, mean colour. A region is a weight in [0, 1] for each pixel.

Regions come from the driving frame (`evaluation/regions.py`), so they are the same for every system.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from dagan.evaluation.metrics.pairwise import MAX_PSNR

LUMA = (0.299, 0.587, 0.114)  # Rec. 601
EPS = 1e-12


def region_mean(values: Float[Tensor, "b c h w"], region: Float[Tensor, "b 1 h w"]) -> Float[Tensor, " b"]:
    """The mean over the region's pixels and all channels."""
    return (values * region).sum((1, 2, 3)) / (region.sum((1, 2, 3)) * values.shape[1]).clamp(min=EPS)


def region_l1(
    generated: Float[Tensor, "b 3 h w"], driving: Float[Tensor, "b 3 h w"], region: Float[Tensor, "b 1 h w"]
) -> Float[Tensor, " b"]:
    """Mean absolute difference in the region; lower is better."""
    return region_mean((generated - driving).abs(), region)


def region_psnr(
    generated: Float[Tensor, "b 3 h w"], driving: Float[Tensor, "b 3 h w"], region: Float[Tensor, "b 1 h w"]
) -> Float[Tensor, " b"]:
    """PSNR in decibels of the region's pixels, at most `MAX_PSNR`; higher is better."""
    squared_error = region_mean((generated - driving).square(), region)
    return -10 * squared_error.clamp(min=10 ** (-MAX_PSNR / 10)).log10()


def colour_difference(
    generated: Float[Tensor, "b 3 h w"], driving: Float[Tensor, "b 3 h w"], region: Float[Tensor, "b 1 h w"]
) -> Float[Tensor, " b"]:
    """Mean absolute difference of the region's mean red, green and blue; lower is better."""
    count = region.sum((2, 3)).clamp(min=EPS)
    means = [(image * region).sum((2, 3)) / count for image in (generated, driving)]  # b 3
    return (means[0] - means[1]).abs().mean(1)


def laplacian(image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 h w"]:
    """The four neighbours' mean brightness minus the pixel's; the border repeats."""
    luma = (image * image.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
    kernel = image.new_tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None] / 4
    return F.conv2d(F.pad(luma, (1, 1, 1, 1), mode="replicate"), kernel)


def detail_ratio(
    generated: Float[Tensor, "b 3 h w"], driving: Float[Tensor, "b 3 h w"], region: Float[Tensor, "b 1 h w"]
) -> Float[Tensor, " b"]:
    """How much fine detail there is: the mean absolute Laplacian over the driving frame's. 1 is as sharp.

    Noise and sharpening raise it, so read it with `detail_correlation`.
    """
    ours, true = (region_mean(laplacian(image).abs(), region) for image in (generated, driving))
    return ours / true.clamp(min=EPS)


def detail_correlation(
    generated: Float[Tensor, "b 3 h w"], driving: Float[Tensor, "b 3 h w"], region: Float[Tensor, "b 1 h w"]
) -> Float[Tensor, " b"]:
    """Whether the fine detail is the true one: Pearson's correlation of the two Laplacians; 1 is best, 0 for noise."""
    ours, true = (laplacian(image).double() for image in (generated, driving))
    weight = region.double()
    x, y = (values - region_mean(values, weight)[:, None, None, None] for values in (ours, true))
    product, x_squared, y_squared = (region_mean(values, weight) for values in (x * y, x * x, y * y))
    return (product / (x_squared * y_squared).sqrt().clamp(min=EPS)).to(generated.dtype)
