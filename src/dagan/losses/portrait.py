"""What stage 1 may assume of talking heads: one head, near the middle, in front of a still background and camera.

The photometric error leaves three things open that driving scenes do not: a face inside out that turns the other way
explains small motions equally well (the bas-relief ambiguity), the background never moves, and scale is free. Each term
here settles one of them and says nothing about the shape of the face.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from dagan.geometry.camera import pixel_centres
from dagan.losses.photometric import UNUSABLE, MinimumError

JUST_MOVING = 0.15  # P_e at which a pixel counts as half moving: compression noise has about 0.03, a moving eye 0.5
EVIDENCE_CAP = 0.2  # of P_e: a hard edge in the background counts as much as clear texture, not more
BACKGROUND_STEP = 0.25  # of disparity, from the mean of the head back to the background
HEAD_DISPARITY = 0.6  # where the free scale is pinned: mid-range, with room for the background on the far side


def portrait_bump(like: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "h w"]:
    """Disparity the prior starts from: 0.65 just above the middle of a portrait, falling to 0.2 at its borders."""
    height, width = like.shape[-2:]
    x, y = (pixel_centres(height, width, like) / like.new_tensor([width, height]) * 2 - 1).unbind(-1)
    return 0.2 + 0.45 * torch.exp(-(x / 0.5).square() - ((y + 0.05) / 0.65).square())


def bump_distance(disparity: Float[Tensor, "b 1 h w"]) -> Float[Tensor, ""]:
    """Mean |disparity - bump|: the prior that decides, in the first steps, which way round the face is."""
    return (disparity - portrait_bump(disparity)).abs().mean()


def movement(minimum: MinimumError) -> Float[Tensor, "b 1 h w"]:
    """How plainly a pixel moves, 0 to 1, from the error it has when nothing is warped. No gradient."""
    squared = minimum.unmoved.square()
    return squared / (squared + JUST_MOVING**2)


def head_disparity(disparity: Float[Tensor, "b 1 h w"], minimum: MinimumError) -> Float[Tensor, "b"]:
    """Mean disparity of what moves, per frame."""
    weight = movement(minimum) + 1e-3
    return (disparity * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3))


def gauge(disparity: Float[Tensor, "b 1 h w"], minimum: MinimumError) -> Float[Tensor, ""]:
    """Squared distance of the head's mean disparity from `HEAD_DISPARITY`: pins the scale, which is free."""
    return (head_disparity(disparity, minimum) - HEAD_DISPARITY).square().mean()


def background_error(disparity: Float[Tensor, "b 1 h w"], minimum: MinimumError) -> Float[Tensor, ""]:
    """How much too near background is: disparity above the head's less a step, where a pixel plainly stays behind.

    Plainly: carried along with the head it would be in view and look worse, by up to `EVIDENCE_CAP` of P_e. Such pixels
    are masked and would get no gradient at all, so their depth would be whatever the decoder makes up.
    """
    evidence = (minimum.reprojected - minimum.unmoved).clamp(0, EVIDENCE_CAP).detach() / EVIDENCE_CAP
    evidence = torch.where(minimum.reprojected < UNUSABLE, evidence, 0)
    farthest_head = (head_disparity(disparity, minimum).detach() - BACKGROUND_STEP)[:, None, None, None]
    return (evidence * (disparity - farthest_head).relu()).mean()


def camera_offset(
    intrinsics: Float[Tensor, "b 3 3"], image_size: tuple[int, int], portrait_focal: float
) -> Float[Tensor, ""]:
    """Squared distance from the portrait camera, in log focal length and image sides; `image_size` is (h, w).

    A turning head says little about the camera: without this, the focal length takes up whatever motion is left.
    """
    height, width = image_size
    size = intrinsics.new_tensor([width, height])
    focal = (intrinsics[:, [0, 1], [0, 1]] / (size * portrait_focal)).log()
    centre = intrinsics[:, :2, 2] / size - 0.5
    return (focal.square() + centre.square()).mean()
