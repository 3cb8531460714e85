"""What is seen in each frame for itself, made steady in time."""

import torch
from jaxtyping import Float
from torch import Tensor

REACH = 2  # frames before and after


def steadied(values: Float[Tensor, "t n"], noise: float) -> Float[Tensor, "t n"]:
    """Each value's mean with those of the frames around that differ from it as noise does (a bilateral filter in time,
    Tomasi and Manduchi 1998): what trembles rests, what moves keeps its pace.

    A value that differs by `noise` counts 0.6, by three times that 0.01, and less the further away it is in time.
    """
    total, weights = values.clone(), torch.ones_like(values)
    for distance in range(1, min(REACH, len(values) - 1) + 1):
        earlier, later = values[:-distance], values[distance:]
        weight = torch.exp(-((later - earlier) / noise).square() / 2) / distance
        for side, other in ((slice(distance, None), earlier), (slice(None, -distance), later)):
            total[side] += weight * other
            weights[side] += weight
    return total / weights
