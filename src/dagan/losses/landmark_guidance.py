"""Start of the keypoints from face landmarks, released later (not in the paper; docs/decisions.md)."""

from jaxtyping import Bool, Float
from torch import Tensor


def landmark_guidance(
    position: Float[Tensor, "b k 2"], landmarks: Float[Tensor, "b l 2"], found: Bool[Tensor, " b"]
) -> Float[Tensor, ""]:
    """Mean L1 between the first l keypoints and the landmarks, over the images in which a face was found."""
    error = (position[:, : landmarks.shape[1]] - landmarks).abs().mean(dim=(1, 2))  # b
    weight = found.to(error.dtype)
    return (error * weight).sum() / weight.sum().clamp_min(1)
