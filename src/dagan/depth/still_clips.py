"""Clips from photos, for people of whom there is one picture: the photo's surface (F_d) seen from a moving camera.

Expressions stay: such clips teach identities and poses, not mouths.
"""

import math
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from dagan.data.clips import fit_square
from dagan.data.pictures import read_image
from dagan.depth.estimate import DepthPicture, estimate_depth
from dagan.depth.parallax import build_scene, render
from dagan.geometry.registration import affine_flow
from dagan.geometry.warp import warp
from dagan.inference.video import VideoWriter
from dagan.models.depth import FaceDepthNet

SIDE, NUM_FRAMES = 256, 8
RATE = Fraction(25)
TURN = (9.0, 14.0, 6.0)  # degrees at most: nod, shake, tilt
ZOOM, SHIFT = 0.12, 0.12  # at most: of the size, and in [-1, 1]
CONSTANT_RATE_FACTOR = 12  # near to lossless


def write_still_clip(photo: Path, network: FaceDepthNet, target: Path) -> None:
    """The clip of one photo, which is its first frame; the photo's name chooses the places that the camera goes to."""
    picture = estimate_depth(fit_square(read_image(photo), SIDE), network, crop="none", size=SIDE)
    numbers = torch.Generator().manual_seed(zlib.crc32(photo.stem.encode()))
    with VideoWriter(target, RATE, (SIDE, SIDE), quality=CONSTANT_RATE_FACTOR) as video:
        for frame in moved(picture, numbers):
            video.write(to_pixels(frame))


def moved(picture: DepthPicture, numbers: torch.Generator) -> Iterator[Float[Tensor, "1 3 s s"]]:
    """The photo, then its surface from elsewhere: turned, nearer or farther, and aside."""
    yield picture.image
    scene = build_scene(*picture.surface, swing=max(TURN))
    for _ in range(NUM_FRAMES - 1):
        draw = 2 * torch.rand(6, generator=numbers) - 1
        seen = render(scene, draw[None, :3] * torch.tensor(TURN) * (math.pi / 180))
        zoom = 1 + float(draw[3]) * ZOOM
        window = torch.tensor([[[zoom, 0.0, float(draw[4]) * SHIFT], [0.0, zoom, float(draw[5]) * SHIFT]]])
        yield warp(seen, affine_flow(window, SIDE, SIDE))


def to_pixels(image: Float[Tensor, "1 3 s s"]) -> UInt8[np.ndarray, "s s 3"]:
    return (image[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
