"""Metrics of a clip over time: jitter of landmarks, flicker of a background that stands still."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

REFERENCE_SIDE = 256  # pixels: jitter is given at this size
GREY_LEVELS = 255
BACKGROUND = 0.05  # a matte below it is background
FEWEST_FRAMES = 3


class ClipMotion(NamedTuple):
    """One clip over time, beside its driver; None where it could not be measured.

    `jitter`: root mean square of the landmarks' second difference in time, pixels at 256 x 256. `flicker`: standard
    deviation over time in grey levels, mean over the pixels that are background in every frame.
    """

    clip: str
    num_frames: int
    jitter: float | None
    driver_jitter: float | None
    flicker: float | None
    driver_flicker: float | None


class Watched:
    """Gathers the pictures of one clip in order, and those of its driver."""

    def __init__(self, source_matte: Float[Tensor, "1 1 h w"]) -> None:
        self._person = source_matte
        self._meshes: tuple[list[np.ndarray | None], list[np.ndarray | None]] = ([], [])
        self._levels = (_Levels(), _Levels())

    def add(
        self,
        picture: Float[Tensor, "1 3 h w"],
        driving: Float[Tensor, "1 3 h w"],
        meshes: tuple[Float[np.ndarray, "n _d"] | None, Float[np.ndarray, "n _d"] | None],
        driving_matte: Float[Tensor, "1 1 h w"],
    ) -> None:
        """The next picture and driving frame, their meshes, and where the person of the driving frame is."""
        self._person = torch.maximum(self._person, driving_matte)
        for image, levels in zip((picture, driving), self._levels, strict=True):
            levels.add(image)
        for mesh, kept in zip(meshes, self._meshes, strict=True):
            kept.append(mesh)

    def result(self, clip: str) -> ClipMotion:
        """What was gathered."""
        background, side = self._person < BACKGROUND, self._person.shape[3]
        jitters = (jitter(meshes, side) for meshes in self._meshes)
        return ClipMotion(
            clip, len(self._meshes[0]), *jitters, *(levels.flicker(background) for levels in self._levels)
        )


class _Levels:
    """Sums over time of every pixel."""

    def __init__(self) -> None:
        self._count, self._total, self._squares = 0, torch.zeros(()), torch.zeros(())

    def add(self, image: Float[Tensor, "1 3 h w"]) -> None:
        exact = image.double()
        self._count += 1
        self._total, self._squares = self._total + exact, self._squares + exact.square()

    def flicker(self, background: Tensor) -> float | None:
        if self._count < FEWEST_FRAMES or not background.any():
            return None
        mean = self._total / self._count
        deviation = (self._squares / self._count - mean.square()).clamp(min=0).sqrt()
        return float(deviation.mean(1, keepdim=True)[background].mean()) * GREY_LEVELS


def jitter(meshes: list[np.ndarray | None], side: int) -> float | None:
    """Root mean square of x_(t+1) - 2 x_t + x_(t-1) over frames and landmarks; steady motion has none.

    Only three frames in a row that all show a face count.
    """
    squares = []
    for before, now, after in zip(meshes, meshes[1:], meshes[2:], strict=False):
        if before is not None and now is not None and after is not None:
            bend = after[:, :2] - 2 * now[:, :2] + before[:, :2]
            squares.append(float((bend**2).sum(1).mean()))
    return float(np.sqrt(np.mean(squares))) * REFERENCE_SIDE / side if squares else None
