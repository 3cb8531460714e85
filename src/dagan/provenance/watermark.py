"""The invisible mark, written: quantisation index modulation (Chen and Wornell, 2001) of 144 patterns.

A picture's luma, averaged to 64x64, is projected on each pattern. The projection is moved towards the nearest point of
the lattice that stands for the coded bit: multiples of `STEP` for 0, points half a step further for 1. Every picture
carries all 144 bits, so a single one can be read, and a reader needs no frame numbers or rate.

Projections of a face that moves change by half a step a frame. If the mark followed at once, a still background would
flicker: it moves by `FOLLOW` of the way, and the reader averages over the frames.
"""

from functools import cache

import numpy as np
from jaxtyping import Float32, Int16, UInt8

from dagan.images import Crop
from dagan.provenance.code import encoded
from dagan.provenance.grid import Place, grid_at, luma
from dagan.provenance.pattern import KEY, SIDE, lattice, patterns
from dagan.provenance.payload import Payload

STEP = 44.0  # levels of 255, times the grid's 64 cells
LIMIT = 0.3  # of a step: how far a projection is moved at most; half a step would reach every point, and cost 2 dB
FOLLOW = 0.4  # of the change that a picture asks for, in a video
LEAST_SIDE = 16  # pixels: smaller pictures stay as they are

Pixels = UInt8[np.ndarray, "h w 3"]


class Watermark:
    """Marks the pictures of one video, in order, or one picture; in the pixels of a square or in all of them."""

    def __init__(self, payload: Payload, square: Crop | None = None, key: bytes = KEY) -> None:
        """`square`: where in the pictures; what reaches beyond them is left out. None: the whole picture."""
        self.payload, self.square = payload, square
        turns, salt = lattice(key)
        self._patterns = patterns()
        self._start = (turns + encoded(payload.bits(salt)) / 2).astype(np.float32) * STEP
        self._moved: Float32[np.ndarray, " 144"] | None = None  # in the last picture

    def apply(self, picture: Pixels) -> Pixels:
        """The picture, marked; the given one stays as it is."""
        marked = picture.copy()
        region = marked if self.square is None else _inside(marked, self.square)
        if min(region.shape[:2]) >= LEAST_SIDE:
            change = self._change(region)[..., None]
            np.clip(region + change, 0, 255, out=region, casting="unsafe")
        return marked

    def _change(self, region: Pixels) -> Int16[np.ndarray, "h w"]:
        """What is added to each pixel's three levels."""
        found = self._patterns @ grid_at(luma(region), Place(0, 0, region.shape[1], region.shape[0])).ravel()
        wanted = np.rint((found - self._start) / STEP) * STEP + self._start - found
        before = wanted if self._moved is None else self._moved
        self._moved = np.clip(before + FOLLOW * (wanted - before), -LIMIT * STEP, LIMIT * STEP)
        small = (self._moved @ self._patterns).reshape(SIDE, SIDE)
        height, width = region.shape[:2]
        return np.asarray(np.rint(_enlarging(height) @ small @ _enlarging(width).T), np.int16)


def _inside(picture: Pixels, square: Crop) -> UInt8[np.ndarray, "h2 w2 3"]:
    """The part of the picture that a square covers."""
    x, y, size = square
    return picture[max(y, 0) : max(y + size, 0), max(x, 0) : max(x + size, 0)]


@cache
def _enlarging(size: int) -> Float32[np.ndarray, "size 64"]:
    """A row of the grid to a row of pixels: linear between the middles of cells."""
    place = (np.arange(size) + 0.5) / size * SIDE - 0.5
    below = np.clip(np.floor(place), 0, SIDE - 2).astype(int)
    share = np.clip(place - below, 0, 1)
    matrix = np.zeros((size, SIDE), np.float32)
    matrix[np.arange(size), below], matrix[np.arange(size), below + 1] = 1 - share, share
    return matrix
