"""Landmarks of every frame of clips, found once and stored beside them for training (`dagan.data.landmarks` reads)."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8

from dagan.face import BLENDSHAPE_NAMES, NUM_MESH_POINTS
from dagan.files import written_whole
from dagan.observers.faces import FaceObservation, FaceObserver


class ClipLandmarks(NamedTuple):
    """What is stored of a clip, zeros in frames without a face: (x, y) in [-1, 1], edges at -1/+1; `farther`: z away
    from the camera, in half image widths from the head's middle; `blendshapes` as `BLENDSHAPE_NAMES`."""

    landmarks: Float[np.ndarray, "t 478 2"]
    farther: Float[np.ndarray, "t 478"]
    found: Bool[np.ndarray, " t"]
    blendshapes: Float[np.ndarray, "t 52"]


def find_landmarks(
    observer: FaceObserver, frames: Iterable[UInt8[np.ndarray, "h w 3"]], stride: int = 1
) -> ClipLandmarks:
    """The landmarks of every `stride`-th frame; the others count as frames without a face."""
    rows = []
    for index, image in enumerate(frames):
        seen = observer.observe(image) if index % stride == 0 else None
        rows.append(_row(seen, image.shape[1], image.shape[0]))
    landmarks, farther, found, blendshapes = zip(*rows, strict=True)
    return ClipLandmarks(
        np.asarray(landmarks, np.float16),
        np.asarray(farther, np.float16),
        np.asarray(found, bool),
        np.asarray(blendshapes, np.float16),
    )


def _row(seen: FaceObservation | None, width: int, height: int) -> tuple[np.ndarray, np.ndarray, bool, np.ndarray]:
    """What is stored of one frame."""
    if seen is None:
        return np.zeros((NUM_MESH_POINTS, 2)), np.zeros(NUM_MESH_POINTS), False, np.zeros(len(BLENDSHAPE_NAMES))
    position = seen.landmarks[:, :2] / (width, height) * 2 - 1
    return position, seen.landmarks[:, 2] / width * 2, True, np.asarray(seen.blendshapes)


def save_landmarks(landmarks: ClipLandmarks, path: Path) -> None:
    """One .npz file; appears whole or not at all."""
    with written_whole(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **landmarks._asdict())
