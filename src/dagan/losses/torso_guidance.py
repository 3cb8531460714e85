"""Keypoints that are not the face's, made to follow the torso (not in the paper; docs/decisions.md)."""

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from dagan.types import Keypoints

SPREAD, HEIGHT = 0.55, 0.8  # where a portrait has its torso: keypoints side by side, (x, y) in [-1, 1]
LEEWAY = 0.3  # about its place each keypoint is free: it shall follow the torso, not stand there


def torso_guidance(
    source: Keypoints, driving: Keypoints, motion: Float[Tensor, "b 2 3"], num_face: int
) -> Float[Tensor, ""]:
    """Mean distance of the keypoints after the first `num_face` from where the torso carried them.

    `motion`: [A t] of the torso from driving to source coordinates (`register`). A keypoint x that follows has
    x_s = A x_d + t, and its local frame J_s = A J_d. One that leaves the neighbourhood of its place is drawn back.
    """
    ours, theirs = source.position[:, num_face:], driving.position[:, num_face:]  # b f 2
    if ours.shape[1] == 0:
        raise ValueError(f"torso_guidance needs more keypoints than the face's {num_face}")
    linear, shift = motion[:, :, :2], motion[:, None, :, 2]
    follows = (ours - einsum(linear, theirs, "b i j, b f j -> b f i") - shift).abs().mean()
    place = torch.linspace(-SPREAD, SPREAD, ours.shape[1], device=ours.device)
    places = torch.stack([place, torch.full_like(place, HEIGHT)], -1)  # f 2
    strays = ((theirs - places).abs() - LEEWAY).clamp_min(0).mean()
    if source.jacobian is None or driving.jacobian is None:
        return follows + strays
    carried = einsum(linear, driving.jacobian[:, num_face:], "b i j, b f j k -> b f i k")
    return follows + strays + 0.1 * (source.jacobian[:, num_face:] - carried).abs().mean()
