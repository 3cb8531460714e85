"""What the pixels and landmarks of a clip say: how sharp it is, how the face moves, whether it shakes or shows text."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image

FACE_SIDE = 128  # pixels of the face for which sharpness is measured, whatever the clip's size
STROKE = 40.0  # levels from one pixel to the next that are the edge of a letter
STROKES = 8  # edges in a row of the crop that are text: up and down by turns
CLOSE = 0.06  # of the crop's side: farthest apart of two edges of one line of text
TEXT_SIDE = 256  # pixels of the crop in which text is looked for
INNER_LIPS = (13, 14)  # of the face mesh: upper and lower
FOREHEAD, CHIN = 10, 152


def grey(pixels: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w"]:
    """Brightness, 0 to 255."""
    return pixels @ np.array([0.299, 0.587, 0.114], np.float32)


def sharpness(face: UInt8[np.ndarray, "h w 3"]) -> float:
    """Variance of the Laplacian of a face, over the variance of its brightness: light and make-up count less."""
    side = (FACE_SIDE, FACE_SIDE)
    small = grey(np.asarray(Image.fromarray(face).resize(side, Image.Resampling.BILINEAR)))
    middle = small[1:-1, 1:-1]
    laplacian = small[:-2, 1:-1] + small[2:, 1:-1] + small[1:-1, :-2] + small[1:-1, 2:] - 4 * middle
    return float(laplacian.var() / max(float(small.var()), 1.0))


class Motion(NamedTuple):
    """How a face moves within itself, and how its middle trembles, in percent of its size."""

    motion: float
    shake: float


def motion_and_shake(
    landmarks: Float[np.ndarray, "t 478 2"], found: Bool[np.ndarray, " t"], rate: float
) -> Motion | None:
    """How far landmarks move within the face, and how its middle trembles from frame to frame, both in percent of the
    face's size; None for too few frames.

    Motion is what is left when each frame's landmarks are moved, turned and scaled onto the mean face: a photo that
    slides through the picture has none.
    """
    places = np.flatnonzero(found)
    if len(places) < 5:
        return None
    points = landmarks[places].astype(float) @ np.array([1, 1j])  # t 478
    middle = points.mean(1, keepdims=True)
    centred = points - middle
    face = float(np.median(np.abs(points[:, FOREHEAD] - points[:, CHIN])))
    mean = centred.mean(0)
    scale = (centred.conj() @ mean)[:, None] / (np.abs(centred) ** 2).sum(1, keepdims=True)
    residual = centred * scale
    moved = np.sqrt((np.abs(residual - residual.mean(0)) ** 2).mean())
    path = middle[:, 0]
    near = np.diff(places) == 1
    bends = path[2:] - 2 * path[1:-1] + path[:-2]
    bends = bends[near[1:] & near[:-1]]
    trembles = float(np.sqrt((np.abs(bends) ** 2).mean())) if len(bends) else 0.0
    return Motion(100 * float(moved) / max(face, 1e-6), 100 * trembles * min(1.0, rate / 25) / max(face, 1e-6))


def caption_share(mean: Float[np.ndarray, "h w"]) -> float:
    """Share of the rows with text, of the mean brightness of a clip's frames: what moves is washed out, text is not."""
    picture = Image.fromarray(np.clip(mean, 0, 255).astype(np.uint8)).resize((TEXT_SIDE, TEXT_SIDE))
    steps = np.diff(np.asarray(picture, np.float32), axis=1)  # 256 255
    return sum(_is_text(row) for row in steps) / TEXT_SIDE


def _is_text(steps: Float[np.ndarray, " n"]) -> bool:
    """Whether a row has many strong edges close together, up and down by turns."""
    places = np.flatnonzero(np.abs(steps) >= STROKE)
    run, last, sign = 0, -TEXT_SIDE, 0.0
    for place in places.tolist():
        turn = float(np.sign(steps[place]))
        if place - last > CLOSE * TEXT_SIDE:
            run, sign = 0, 0.0
        run, last, sign = run + (turn != sign), place, turn
        if run >= STROKES:
            return True
    return False


def mouth_opening(landmarks: Float[np.ndarray, "t 478 2"]) -> Float[np.ndarray, " t"]:
    """The gap between the inner lips, over the face's height."""
    upper, lower = INNER_LIPS
    gap = np.linalg.norm(landmarks[:, lower] - landmarks[:, upper], axis=-1)
    height = np.linalg.norm(landmarks[:, CHIN] - landmarks[:, FOREHEAD], axis=-1)
    opening: Float[np.ndarray, " t"] = gap / np.maximum(height, 1e-6)
    return opening
