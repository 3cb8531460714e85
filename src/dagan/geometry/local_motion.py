"""Where a driving pixel comes from if it moves with keypoint n: siblings of one signature."""

from collections.abc import Callable

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor

from dagan.types import Keypoints


def offset(source: Keypoints, driving: Keypoints, grid: Float[Tensor, "h w 2"]) -> Float[Tensor, "b k h w 2"]:
    """The grid moved by each keypoint's offset (Eq. 7: O_n = x_s,n - x_d,n)."""
    shift = source.position - driving.position
    return grid + rearrange(shift, "b k d -> b k 1 1 d")


def affine(source: Keypoints, driving: Keypoints, grid: Float[Tensor, "h w 2"]) -> Float[Tensor, "b k h w 2"]:
    """First-order motion near each keypoint (FOMM): x_s + J_s J_d^-1 (z - x_d).

    Raises ValueError when a keypoint set has no jacobians.
    """
    if source.jacobian is None or driving.jacobian is None:
        raise ValueError("affine local motion needs keypoints with jacobians; give the detector has_jacobian=True")
    # inv_ex: inv asks a GPU whether any frame is singular, and waits for the answer
    turn = source.jacobian.float() @ torch.linalg.inv_ex(driving.jacobian.float()).inverse  # b k 2 2
    around = grid - rearrange(driving.position, "b k d -> b k 1 1 d")
    turned: Tensor = einsum(turn, around, "b k i j, b k h w j -> b k h w i")
    return turned + rearrange(source.position, "b k d -> b k 1 1 d")


def invert_2x2(matrix: Float[Tensor, "*b 2 2"]) -> Float[Tensor, "*b 2 2"]:
    """The inverse by its formula: exporters have no other."""
    (a, b), (c, d) = (row.unbind(-1) for row in matrix.unbind(-2))
    adjugate = torch.stack([torch.stack([d, -b], -1), torch.stack([-c, a], -1)], -2)
    return adjugate / (a * d - b * c)[..., None, None]


LocalMotion = Callable[[Keypoints, Keypoints, Tensor], Tensor]
LOCAL_MOTIONS: dict[str, LocalMotion] = {"offset": offset, "affine": affine}
