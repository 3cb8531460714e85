"""Pictures as the mark sees them: luma, averaged over the cells of a grid, with cells that begin within pixels."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from dagan.provenance.pattern import SIDE

Grey = UInt8[np.ndarray, "h w"]


class Place(NamedTuple):
    """A rectangle in which the mark may lie, in pixels; it may reach beyond the frame."""

    x: float
    y: float
    width: float
    height: float


def luma(picture: UInt8[np.ndarray, "h w 3"]) -> Grey:
    """Brightness as ITU-R BT.601 weighs it."""
    return np.asarray(Image.fromarray(np.ascontiguousarray(picture)).convert("L"))


def grid_at(frame: Grey, place: Place) -> Float32[np.ndarray, "64 64"]:
    """The means of a place's cells; beyond the frame its edge pixels are repeated."""
    height, width = frame.shape
    down = averages(height, float(place.y), place.height / SIDE, place.height / SIDE, SIDE)
    across = averages(width, float(place.x), place.width / SIDE, place.width / SIDE, SIDE)
    return np.asarray(down @ frame.astype(np.float32) @ across.T, np.float32)


@lru_cache(maxsize=64)
def averages(length: int, start: float, step: float, width: float, count: int) -> Float32[np.ndarray, "count length"]:
    """The matrix of means over `count` spans of `width` pixels, the first from `start`, each `step` after the last.

    Pixels count by the part of them that lies in the span; the first and last pixel stand for what lies beyond.
    """
    begin = start + step * np.arange(count)[:, None]
    edges = np.arange(length + 1.0)
    edges[0], edges[-1] = min(begin[0, 0], 0.0) - 1, max(begin[-1, 0] + width, length) + 1
    inside = np.clip(edges, begin, begin + width)
    return np.asarray(np.diff(inside, axis=1) / width, np.float32)
