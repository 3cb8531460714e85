"""Keypoint distance loss L_D (Eq. 13), with a gradient."""

import torch
from jaxtyping import Float
from torch import Tensor

THRESHOLD = 0.2  # alpha of Eq. 13, L1 distance in [-1, 1] coordinates


def keypoint_distance(position: Float[Tensor, "b k 2"], threshold: float = THRESHOLD) -> Float[Tensor, ""]:
    """Mean over pairs i != j of the hinge max(0, 1 - |x_i - x_j|_1 / threshold), in [0, 1].

    Eq. 13's 1 - sign(d - threshold) has zero gradient everywhere; the hinge is zero where it is zero, and pushes
    crowded pairs apart. The printed value is `crowding`.
    """
    return _over_pairs((1 - _pair_distances(position) / threshold).clamp_min(0))


def crowding(position: Float[Tensor, "b k 2"], threshold: float = THRESHOLD) -> Float[Tensor, ""]:
    """Eq. 13 as printed, averaged over pairs: 0 when no pair is nearer than the threshold, 2 when all are."""
    return _over_pairs(1 - torch.sign(_pair_distances(position) - threshold))


def released_crowding(position: Float[Tensor, "b k 2"], threshold: float = THRESHOLD) -> Float[Tensor, ""]:
    """Eq. 13 as the release counts it: Euclidean distances, the sum over pairs i != j divided by k^2."""
    count = position.shape[1]
    distances = torch.linalg.vector_norm(position[:, :, None] - position[:, None], dim=-1)
    return _over_pairs(1 - torch.sign(distances - threshold)) * ((count - 1) / count)


def _pair_distances(position: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k k"]:
    return (position[:, :, None] - position[:, None]).abs().sum(-1)


def _over_pairs(values: Float[Tensor, "b k k"]) -> Float[Tensor, ""]:
    count = values.shape[1]
    others = 1 - torch.eye(count, device=values.device)  # a factor: a boolean index would wait for the GPU
    return (values * others).sum() / (len(values) * count * (count - 1))
