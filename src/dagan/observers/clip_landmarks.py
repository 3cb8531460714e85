"""Landmarks of every frame of clips, found once and stored beside them for training (`dagan.data.landmarks` reads)."""

import io
from collections.abc import Iterable, Sequence
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
        rows.append(landmark_row(seen, image.shape[1], image.shape[0]))
    return joined(rows)


class LandmarkRow(NamedTuple):
    """What is stored of one frame."""

    landmarks: Float[np.ndarray, "478 2"]
    farther: Float[np.ndarray, "478"]
    found: bool
    blendshapes: Float[np.ndarray, "52"]


def landmark_row(seen: FaceObservation | None, width: int, height: int) -> LandmarkRow:
    """Of what was seen in a picture of this size."""
    if seen is None:
        nothing = np.zeros((NUM_MESH_POINTS, 2), np.float16)
        return LandmarkRow(nothing, nothing[:, 0], False, np.zeros(len(BLENDSHAPE_NAMES), np.float16))
    position = seen.landmarks[:, :2] / (width, height) * 2 - 1
    farther, shapes = seen.landmarks[:, 2] / width * 2, np.asarray(seen.blendshapes)
    return LandmarkRow(position.astype(np.float16), farther.astype(np.float16), True, shapes.astype(np.float16))


def joined(rows: Sequence[LandmarkRow]) -> ClipLandmarks:
    """Those of a clip's frames, of which there is at least one."""
    landmarks, farther, found, blendshapes = zip(*rows, strict=True)
    return ClipLandmarks(np.stack(landmarks), np.stack(farther), np.asarray(found, bool), np.stack(blendshapes))


def save_landmarks(landmarks: ClipLandmarks, path: Path) -> None:
    """One .npz file; appears whole or not at all."""
    with written_whole(path) as partial:
        partial.write_bytes(landmark_bytes(landmarks))


def landmark_bytes(landmarks: ClipLandmarks) -> bytes:
    """The content of such a file; the same landmarks give the same bytes."""
    content = io.BytesIO()
    np.savez_compressed(content, **landmarks._asdict())
    return content.getvalue()
