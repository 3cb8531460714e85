"""Where the regional metrics look: the head and the opened mouth of the driving frame, the same for every system."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageDraw
from torch import Tensor

CHIN, FOREHEAD = 152, 10  # points of the mesh
INNER_LIPS = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)  # a ring
LIP_GAPS = ((13, 14), (81, 178), (311, 402))  # upper and lower lip
MOUTH_CORNERS = (61, 291)
SHUT, OPEN = 0.05, 0.12  # of the mouth's width: lips apart by less are shut, by more are open
FEWEST_PIXELS = 20  # at 256 x 256: a smaller mouth has too few pixels to measure
REFERENCE_SIDE = 256
FINER = 4  # polygons are drawn so many times larger, then averaged


class Regions(NamedTuple):
    """A weight in [0, 1] for each pixel, or None where the pair has no such region.

    `head`: the person of the driving frame above the chin, hair included. `mouth`: between the inner lips of the
    driving frame, if they are open there and shut in the source.
    """

    head: Float[Tensor, "1 1 h w"] | None = None
    mouth: Float[Tensor, "1 1 h w"] | None = None


def head_region(matte: Float[Tensor, "1 1 h w"], mesh: Float[np.ndarray, "478 _d"]) -> Float[Tensor, "1 1 h w"] | None:
    """The matte above the line through the chin, across the face; None if the matte is empty there."""
    down = mesh[CHIN, :2] - mesh[FOREHEAD, :2]
    down = down / max(float(np.linalg.norm(down)), 1e-6)
    rows, columns = np.mgrid[: matte.shape[2], : matte.shape[3]] + 0.5
    below = (np.stack([columns, rows], -1) - mesh[CHIN, :2]) @ down  # pixels below the chin
    kept = torch.from_numpy(np.clip(0.5 - below, 0, 1)).to(matte)
    region = matte * kept
    return region if region.sum() >= FEWEST_PIXELS * (matte.shape[3] / REFERENCE_SIDE) ** 2 else None


def mouth_region(
    source: Float[np.ndarray, "478 _d"], driving: Float[np.ndarray, "478 _d"], height: int, width: int
) -> Float[Tensor, "1 1 h w"] | None:
    """Inside the driving frame's inner lips; None unless they are open there, shut in the source, and large enough."""
    if lips_apart(source) > SHUT or lips_apart(driving) < OPEN:
        return None
    canvas = Image.new("L", (width * FINER, height * FINER))
    ring = [tuple(point) for point in (driving[list(INNER_LIPS), :2] * FINER).tolist()]
    ImageDraw.Draw(canvas).polygon(ring, fill=255)
    small = np.asarray(canvas.reduce(FINER), np.float32) / 255
    region = torch.from_numpy(small)[None, None]
    return region if region.sum() >= FEWEST_PIXELS * (width / REFERENCE_SIDE) ** 2 else None


def lips_apart(mesh: Float[np.ndarray, "478 _d"]) -> float:
    """How far the inner lips are apart, as a share of the mouth's width."""
    points = mesh[:, :2]
    gap = np.mean([np.linalg.norm(points[a] - points[b]) for a, b in LIP_GAPS])
    across = np.linalg.norm(points[MOUTH_CORNERS[0]] - points[MOUTH_CORNERS[1]])
    return float(gap / max(float(across), 1e-6))
