"""Start of the keypoints from face landmarks, released later (not in the paper; docs/decisions.md)."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dagan.face import LIDS, LIPS, MOUTH_CORNERS

OPENINGS = (LIPS, *LIDS, MOUTH_CORNERS)  # pairs of landmarks whose distance is an expression
TURN, ZOOM, SHIFT = 25.0, 0.25, 0.2  # of a moved frame, at most: degrees, share of the size, in [-1, 1]


def landmark_guidance(
    position: Float[Tensor, "b k 2"], landmarks: Float[Tensor, "b l 2"], found: Bool[Tensor, " b"]
) -> Float[Tensor, ""]:
    """Mean L1 between the first l keypoints and the landmarks, over the images in which a face was found."""
    error = (position[:, : landmarks.shape[1]] - landmarks).abs().mean(dim=(1, 2))  # b
    weight = found.to(error.dtype)
    return (error * weight).sum() / weight.sum().clamp_min(1)


def opening_guidance(
    position: Float[Tensor, "b k 2"], landmarks: Float[Tensor, "b l 2"], found: Bool[Tensor, " b"]
) -> Float[Tensor, ""]:
    """Mean L1 between what keypoints and landmarks say of how open mouth and eyes are (`OPENINGS`), over faces found.

    Lids are 0.04 apart: keypoints as near to their landmarks as that can be as near to them whether an eye is open or
    shut, and the plain distance hardly tells.
    """
    one, other = (list(end) for end in zip(*OPENINGS, strict=True))
    return landmark_guidance(position[:, one] - position[:, other], landmarks[:, one] - landmarks[:, other], found)


def random_similarities(batch: int, generator: torch.Generator, like: Tensor) -> Float[Tensor, "b 2 3"]:
    """Turned, zoomed and shifted windows [A t], from a moved frame's coordinates to the frame's, drawn evenly from
    `generator` (a CPU generator), on the device of `like`: faces where and how clips seldom show them."""
    turn, zoom, x, y = (2 * torch.rand(batch, 4, generator=generator) - 1).unbind(1)
    angle, scale = turn * math.radians(TURN), torch.exp(zoom * math.log1p(ZOOM))
    cos, sin = scale * angle.cos(), scale * angle.sin()
    rows = torch.stack([torch.stack([cos, -sin, x * SHIFT], -1), torch.stack([sin, cos, y * SHIFT], -1)], 1)
    return rows.to(like.device)


def seen_through(window: Float[Tensor, "b 2 3"], points: Float[Tensor, "b l 2"]) -> Float[Tensor, "b l 2"]:
    """Where points of a frame are in its moved version: A^-1 (x - t)."""
    shifted = points - window[:, None, :, 2]
    seen: Tensor = torch.linalg.solve_ex(window[:, :, :2], shifted.mT)[0]
    return seen.mT
