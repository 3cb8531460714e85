"""Where the mark lies: 144 orthonormal patterns on a grid of 64x64 that fade to 0 at its rim, and their phases.

The patterns are mixtures of the cosines of a ring of the DCT: slow enough to outlive compression and scaling, too fast
to be taken for light and shade. They are the same for every file; a key shifts the lattices that are read on them.
"""

from functools import cache
from hashlib import shake_256
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64

SIDE = 64  # of the grid
COUNT = 144  # patterns: one for each coded bit
RING = (3.0, 15.0)  # half periods over the side
RIM = 0.24  # share of the side on which the mark fades
KEY = b"dagan mark 1"  # public: anybody may look for the mark


def patterns() -> Float32[np.ndarray, "144 4096"]:
    """The patterns as rows."""
    return _patterns()


@cache
def _patterns() -> Float32[np.ndarray, "144 4096"]:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    radius = np.hypot(rows, columns)
    ring = np.flatnonzero((radius >= RING[0]) & (radius < RING[1]))
    mixed = np.zeros((COUNT, SIDE * SIDE))
    mixed[:, ring] = _even_numbers(b"dagan patterns 1", COUNT * len(ring)).reshape(COUNT, -1) - 0.5
    waves = cosines(SIDE)
    window = _window().ravel()
    drawn = (waves.T @ mixed.reshape(COUNT, SIDE, SIDE) @ waves).reshape(COUNT, -1) * window
    # The window lets slower waves in again, brightness among them: they are taken out, with waves that fade as well.
    slow = np.array([np.outer(waves[y], waves[x]).ravel() for y, x in np.argwhere(radius < RING[0])])
    fading = slow * window
    flat = drawn - np.linalg.solve(fading @ slow.T, slow @ drawn.T).T @ fading
    lower = np.linalg.cholesky(flat @ flat.T)  # unlike QR this leaves no sign to the library
    return np.linalg.solve(lower, flat).astype(np.float32)


class Lattice(NamedTuple):
    """What a key decides: where the lattice of each pattern begins (turns, in [0, 1)), and what salts the checksum."""

    turns: Float32[np.ndarray, " 144"]
    salt: bytes


@cache
def lattice(key: bytes = KEY) -> Lattice:
    return Lattice(_even_numbers(b"dagan lattice " + key, COUNT).astype(np.float32), key)


def cosines(size: int) -> Float64[np.ndarray, "size size"]:
    """The orthonormal DCT as a matrix, a frequency a row."""
    frequency, place = np.mgrid[:size, :size]
    rows = np.cos(np.pi * frequency * (2 * place + 1) / (2 * size)) * np.sqrt(2 / size)
    rows[0] /= np.sqrt(2)
    return np.asarray(rows, np.float64)


def _window() -> Float64[np.ndarray, "64 64"]:
    """1 inside, a cosine down to 0 at the rim."""
    centre = (np.arange(SIDE) + 0.5) / SIDE
    depth = np.minimum(np.minimum(centre, 1 - centre) / RIM, 1)
    fade = 0.5 - 0.5 * np.cos(np.pi * depth)
    return np.outer(fade, fade)


def _even_numbers(name: bytes, count: int) -> Float64[np.ndarray, " n"]:
    """Evenly spread numbers in [0, 1) that are the same everywhere and always, which NumPy's do not promise."""
    return np.frombuffer(shake_256(name).digest(4 * count), "<u4") / 2.0**32
