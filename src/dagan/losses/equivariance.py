"""Equivariance loss L_E (Eq. 12): keypoints move with the image."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from dagan.geometry.tps import PlaneWarp
from dagan.types import Keypoints


def equivariance(keypoints: Keypoints, transformed: Keypoints, plane_warp: PlaneWarp) -> Float[Tensor, ""]:
    """Mean L1 of x - T(x_T): `transformed` are the keypoints of the image sampled at T(z), so T maps them back."""
    return (keypoints.position - plane_warp(transformed.position)).abs().mean()


def jacobian_equivariance(keypoints: Keypoints, transformed: Keypoints, plane_warp: PlaneWarp) -> Float[Tensor, ""]:
    """Mean L1 of 1 - J^-1 (dT/dx J_T), FOMM's form for local frames. Raises ValueError without jacobians."""
    if keypoints.jacobian is None or transformed.jacobian is None:
        raise ValueError("jacobian equivariance needs keypoints with jacobians")
    carried = plane_warp.jacobian(transformed.position.detach()) @ transformed.jacobian
    relative: Tensor = torch.linalg.inv_ex(keypoints.jacobian).inverse @ carried  # `inv` would wait for a GPU
    identity = rearrange(torch.eye(2, device=relative.device), "i j -> 1 1 i j")
    return torch.sub(identity, relative).abs().mean()
