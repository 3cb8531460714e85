"""Reconstruction where expression shows: eyes and mouth (not in the paper; docs/decisions.md)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dagan.face import EXPRESSIVE
from dagan.geometry.keypoints import gaussians

VARIANCE = 0.004  # of each landmark's Gaussian: 8 pixels' standard deviation at 256


def expressive_reconstruction(
    generated: Float[Tensor, "b 3 h w"],
    driving: Float[Tensor, "b 3 h w"],
    landmarks: Float[Tensor, "b l 2"],
    found: Bool[Tensor, " b"],
) -> Float[Tensor, ""]:
    """Mean L1 around the driving frame's eyes, brows and mouth, over the images in which a face was found.

    Eyes and mouth are a fiftieth of the picture, so that the plain mean hardly sees them.
    """
    size = (driving.shape[2], driving.shape[3])
    weight = gaussians(landmarks[:, EXPRESSIVE].float(), size, VARIANCE).amax(dim=1)  # b h w
    weight = weight * found[:, None, None]
    error = (generated.float() - driving.float()).abs().mean(dim=1)  # b h w
    return (error * weight).sum() / weight.sum().clamp_min(torch.finfo(torch.float32).eps)
