"""Whether two frames show the same scene, or two boxes the same face: by small samples of their pixels."""

import numpy as np
from jaxtyping import Float, UInt8

from dagan.inference.face_detector import FaceBox

Sample = Float[np.ndarray, " n"]
SIDE = 16  # of a sample, in means of 2 x 2 pixels
FLAT = 2.0  # levels of grey: samples with less variation say nothing
SAME_SCENE = 0.5  # least likeness of frames next to each other without a cut; 0.73 and more in 76 training clips


def thumbnail(frame: UInt8[np.ndarray, "h w 3"]) -> Sample:
    """A frame in a few numbers, about their mean."""
    return _sampled(frame, 0.0, 0.0, float(frame.shape[1]), float(frame.shape[0]))


def patch(frame: UInt8[np.ndarray, "h w 3"], face: FaceBox) -> Sample:
    """A face in a few numbers, about their mean; beyond the frame its edge pixels are repeated."""
    return _sampled(frame, face.x, face.y, face.width, face.height)


def alike(a: Sample, b: Sample) -> float:
    """Correlation of two samples, at most 1; 0 where one of them is flat."""
    lengths = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    if min(lengths) < FLAT * len(a) ** 0.5:
        return 0.0
    return float(a @ b) / (lengths[0] * lengths[1])


def _sampled(frame: UInt8[np.ndarray, "h w 3"], x: float, y: float, width: float, height: float) -> Sample:
    steps = (np.arange(2 * SIDE) + 0.5) / (2 * SIDE)
    rows = np.clip(y + steps * height, 0, frame.shape[0] - 1).astype(int)
    columns = np.clip(x + steps * width, 0, frame.shape[1] - 1).astype(int)
    pixels = frame[rows[:, None], columns].astype(np.float32)
    values: Sample = pixels.reshape(SIDE, 2, SIDE, 2, 3).mean((1, 3)).ravel()
    centred: Sample = values - values.mean()
    return centred
