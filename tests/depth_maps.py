"""Small depth maps with one thing before another."""

import torch

SIDE, FOCAL = 32, 64.0
NEAR, FAR = 0.8, 1.2


def block() -> torch.Tensor:
    """A square of 16 pixels before a background."""
    depth = torch.full((1, 1, SIDE, SIDE), FAR)
    depth[..., 8:24, 8:24] = NEAR
    return depth


def smeared_disc() -> torch.Tensor:
    """A disc before a background, its border smeared out over two pixels to either side."""
    x = torch.arange(SIDE) + 0.5 - SIDE / 2
    share = ((torch.hypot(x[:, None], x[None]) - 9) / 4 + 0.5).clamp(0, 1)
    return (NEAR + (FAR - NEAR) * share)[None, None]
