"""Which of two places of a face is nearer: the ranking loss of Chen et al. 2016, "Single-Image Depth Perception in the
Wild", on pairs of landmarks whose order a face mesh knows.

It says nothing of how much nearer, so it neither fixes the scale of a map nor fights the terms that shape its relief.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

# Face mesh indices. Nose: tip, bridge, root, wings; eyes' corners; brows; ears; temples; forehead, chin, cheekbones and
# corners of the mouth.
RANKED_LANDMARKS = (
    *(1, 4, 5, 195, 6, 48, 278),
    *(33, 133, 362, 263),
    *(105, 334),
    *(234, 454, 127, 356),
    *(10, 152, 50, 280, 61, 291),
)
CLEARLY = 0.06  # of the face's size: two places less far apart in depth are not compared
SOFTNESS = 0.03  # of disparity: a pair ordered right by as much costs 0.31, by three times as much 0.05, by none 0.69


def order_error(
    disparity: Float[Tensor, "b 1 h w"],
    position: Float[Tensor, "b n 2"],
    farther: Float[Tensor, "b n"],
) -> Float[Tensor, ""]:
    """Mean of log(1 + exp(-(d_near - d_far) / `SOFTNESS`)) over the pairs of places that are clearly ordered.

    `position` is (x, y) in [-1, 1], edges at -1/+1; `farther` grows away from the camera, in the unit of x. 0 without
    any such pair.
    """
    read = functional.grid_sample(disparity.float(), position[:, :, None], padding_mode="border", align_corners=False)
    nearness = read[:, 0, :, 0]  # b n
    clear = clearly_nearer(position, farther)
    cost = functional.softplus((nearness[:, None, :] - nearness[:, :, None]) / SOFTNESS)  # b n n
    return (cost * clear).sum() / clear.sum().clamp(min=1)


def clearly_nearer(position: Float[Tensor, "b n 2"], farther: Float[Tensor, "b n"]) -> Bool[Tensor, "b n n"]:
    """[i, j]: place i is nearer than place j by more than `CLEARLY` of the face's size."""
    size: Tensor = torch.linalg.vector_norm(position.amax(1) - position.amin(1), dim=-1)  # b
    gap = farther[:, None, :] - farther[:, :, None]  # b n n: how much farther j is than i
    return gap > CLEARLY * size[:, None, None]
