"""A still, cluttered room behind the head: a wall, and things of several colours at their own depths before it."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from dagan.data.synthetic.paint import grain, noise

SUPERSAMPLING = 2  # colours are averaged over so many samples a side; depth is that of the pixel's centre
NEAREST_BEHIND = 0.3  # metres behind the head's middle where the nearest thing stands
MOST_THINGS = 9


class Backdrop(NamedTuple):
    """`colour` at `SUPERSAMPLING` samples a pixel and side, RGB in [0, 1]; `depth` in metres at pixel centres."""

    colour: Float[np.ndarray, "sh sw 3"]
    depth: Float[np.ndarray, "h w"]


class Thing(NamedTuple):
    """A rectangle or ellipse in the picture, in image sides."""

    centre: Float[np.ndarray, "2"]
    half: Float[np.ndarray, "2"]
    tilt: float
    round: bool
    depth: float

    def covers(self, size: int) -> Bool[np.ndarray, "{size} {size}"]:
        """True where the thing covers a sample of a grid of `size` samples a side."""
        at = (np.arange(size) + 0.5) / size
        y, x = np.meshgrid(at, at, indexing="ij")
        cos, sin = np.cos(self.tilt), np.sin(self.tilt)
        dx, dy = x - self.centre[0], y - self.centre[1]
        u, v = (cos * dx + sin * dy) / self.half[0], (cos * dy - sin * dx) / self.half[1]
        return np.asarray(np.hypot(u, v) < 1 if self.round else np.maximum(np.abs(u), np.abs(v)) < 1)


def random_backdrop(numbers: np.random.Generator, size: int, distance: float) -> Backdrop:
    """The room of one clip; `distance` is the head's."""
    wall = distance + numbers.uniform(0.6, 2.0)
    side = size * SUPERSAMPLING
    colour = _textured(numbers, side)
    depth = np.full((size, size), wall)
    count = int(numbers.integers(2, MOST_THINGS + 1))
    for behind in np.sort(numbers.uniform(distance + NEAREST_BEHIND, wall, count))[::-1]:  # far to near
        thing = Thing(
            centre=numbers.uniform(0, 1, 2),
            half=numbers.uniform(0.04, 0.3, 2),
            tilt=float(numbers.normal(0, 0.1)),
            round=bool(numbers.random() < 0.25),
            depth=float(behind),
        )
        colour = np.where(thing.covers(side)[..., None], _textured(numbers, side), colour)
        depth = np.where(thing.covers(size), thing.depth, depth)
    return Backdrop(_blurred(colour, int(numbers.integers(0, 3))), depth)


def _textured(numbers: np.random.Generator, side: int) -> Float[np.ndarray, "side side 3"]:
    """One colour with shadows, and a pattern or none."""
    base = numbers.uniform(0.08, 0.85) + numbers.normal(0, 0.12, 3)
    shading = 1 + 0.35 * (noise(numbers, side, side, 3, 3) - 0.5) + 0.15 * grain(numbers, side, 12, 50)
    other = numbers.uniform(0.05, 0.9) + numbers.normal(0, 0.15, 3)
    pattern = noise(numbers, side, side, int(numbers.integers(2, 24)), int(numbers.integers(2, 24)))
    strength = float(numbers.choice([0.0, 0.3, 0.8]))
    mixed = base + strength * np.clip(3 * pattern - 1, 0, 1)[..., None] * (other - base)
    return np.asarray(np.clip(mixed * shading[..., None], 0, 1))


def _blurred(colour: Float[np.ndarray, "h w 3"], times: int) -> Float[np.ndarray, "h w 3"]:
    """Out of focus: (1, 2, 1) / 4 both ways, so many times."""
    for _ in range(4 * times):
        for axis in (0, 1):
            padded = np.concatenate([colour.take([0], axis), colour, colour.take([-1], axis)], axis)
            length = colour.shape[axis]
            before, after = padded.take(range(length), axis), padded.take(range(2, length + 2), axis)
            colour = 0.25 * before + 0.5 * colour + 0.25 * after
    return colour
