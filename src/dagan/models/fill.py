"""Unknown pixels of an image from the known ones around them, by an average of ever larger neighbourhoods.

The pull-push algorithm (Gortler et al., The Lumigraph, 1996): weighted averages at half the size, again and again; then
back, each unknown pixel from the size below. No network, linear in the number of pixels.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

LEAST = 1e-6
SURE = 2.0  # half of a coarse pixel known is enough to take its average as it is


def fill(image: Float[Tensor, "b c h w"], known: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b c h w"]:
    """The image with the pixels where `known` is 0 filled in; those where it is 1 stay as they are."""
    height, width = image.shape[2:]
    if min(height, width) <= 2:
        mean = (image * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True).clamp_min(LEAST)
        return known * image + (1 - known) * mean
    share = _halved(known)
    average = _halved(image * known) / share.clamp_min(LEAST)
    coarse = fill(average, (SURE * share).clamp_max(1))
    around = F.interpolate(coarse, (height, width), mode="bilinear", align_corners=False)
    return known * image + (1 - known) * around


def _halved(image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
    """Means of 2 x 2 pixels; at the end of an odd side, of what is there."""
    return F.avg_pool2d(image, 2, ceil_mode=True, count_include_pad=False)
