"""Backward warping W_p (Eqs. 4, 8): each output pixel is read from where `flow` points."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from dagan.geometry.grid import resize_flow


def warp(features: Float[Tensor, "b c h w"], flow: Float[Tensor, "b hf wf 2"]) -> Float[Tensor, "b c h w"]:
    """`features` sampled bilinearly at `flow`, which is resized to them; the border repeats outside the image.

    Identity flow returns the input exactly. Sampling positions are computed in float32 also under autocast, since
    bfloat16 cannot tell neighbouring pixels apart near the edges.
    """
    with torch.autocast(features.device.type, enabled=False):
        at = resize_flow(flow.float(), (features.shape[2], features.shape[3]))
        return F.grid_sample(features.float(), at, mode="bilinear", padding_mode="border", align_corners=False).to(
            features.dtype
        )
