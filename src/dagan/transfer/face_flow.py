"""The whole head as one smooth piece, moved through its landmarks."""

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor

from dagan.face import NUM_LANDMARKS
from dagan.geometry.local_motion import invert_2x2
from dagan.types import Keypoints

REACH = 0.4  # of a landmark's own part in the motion, in root mean square radii of the face: 0.15 in a usual frame
FADING = 0.1  # weight of the affine motion alone, against 1 at a landmark
RIDGE = 1e-4  # squared [-1, 1] units: across a line of landmarks, nothing but their common shift is known


def face_flow(
    source: Float[Tensor, "b n 2"], driving: Float[Tensor, "b n 2"], grid: Float[Tensor, "h w 2"]
) -> Float[Tensor, "b h w 2"]:
    """Where each driving pixel comes from in the source if all landmarks move as one piece.

    The affine motion that fits them best (least squares), and near them what it leaves of each, by normalised Gaussian
    weights (Shepard's interpolation); far from the face, in hair and neck, the affine motion alone. What is fitted are
    displacements, so that equal landmarks give the grid itself. In closed form, as exporters want it.
    """
    centre, shift = driving.mean(1, keepdim=True), source - driving
    around, common = driving - centre, shift.mean(1, keepdim=True)
    spread = around.mT @ around / around.shape[1] + RIDGE * torch.eye(2, dtype=around.dtype, device=around.device)
    turn = (shift - common).mT @ around / around.shape[1] @ invert_2x2(spread)  # b 2 2
    left = shift - common - around @ turn.mT  # b n 2

    squared = (grid - rearrange(driving, "b n d -> b n 1 1 d")).square().sum(-1)  # b n h w
    size = around.square().sum(2).mean(1) + 2 * RIDGE  # b, the face's mean squared radius
    near = torch.exp(-0.5 * squared / (REACH**2 * size)[:, None, None, None])
    near = near / (near.sum(1, keepdim=True) + FADING)
    affine = einsum(turn, grid - rearrange(centre, "b 1 d -> b 1 1 d"), "b i j, b h w j -> b h w i")
    moved: Tensor = affine + rearrange(common, "b 1 d -> b 1 1 d") + einsum(near, left, "b n h w, b n d -> b h w d")
    return grid + moved


def whole_face(source: Keypoints, driving: Keypoints, grid: Float[Tensor, "h w 2"]) -> Float[Tensor, "b 1 h w 2"]:
    """`face_flow` of keypoints of which the first are the face's landmarks: one motion more beside those of each."""
    count = NUM_LANDMARKS
    return face_flow(source.position[:, :count].float(), driving.position[:, :count].float(), grid)[:, None]
