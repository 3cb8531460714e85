"""What the pixels and landmarks of a clip say: how sharp it is, how the face moves, whether it shakes or shows text."""

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image

from dagan.observers.sface import align, five_points, similarity

FACE_SIDE = 128  # pixels of the face for which sharpness is measured, whatever the clip's size
STROKE = 40.0  # levels from one pixel to the next that are the edge of a letter
STROKES = 8  # edges in a row of the crop that are text: up and down by turns
CLOSE = 0.06  # of the crop's side: farthest apart of two edges of one line of text
TEXT_SIDE = 256  # pixels of the crop in which text is looked for
INNER_LIPS = (13, 14)  # of the face mesh: upper and lower
FOREHEAD, CHIN = 10, 152
PATCH, RIM = 28, 6  # side of the small picture in which a face's motion is seen, and what of it is not the face
FEWEST = 5  # frames, for scores over time


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


class HeldFace:
    """Takes pictures of one face with their landmarks; `motion` says how it changes within itself.

    Each picture is turned, moved and scaled so that its whole mesh lies on that of the first one: a photo that slides,
    turns or grows does not change, lips and lids and a turning head do.
    """

    def __init__(self) -> None:
        self._mesh: Float[np.ndarray, "n 2"] | None = None
        self._points = np.zeros((5, 2))
        self._patches: list[Float[np.ndarray, "s s"]] = []

    def add(self, pixels: UInt8[np.ndarray, "h w 3"], mesh: Float[np.ndarray, "n 2"]) -> None:
        """A picture and the face mesh in its pixels."""
        if self._mesh is None:
            self._mesh, self._points = mesh, five_points(mesh)
        turn, shift = similarity(self._mesh, mesh)
        patch = align(pixels, self._points @ turn.T + shift).mean(-1)
        small = patch.reshape(PATCH, 112 // PATCH, PATCH, 112 // PATCH).mean((1, 3))[RIM:-RIM, RIM:-RIM]
        self._patches.append((small - small.mean()) / max(float(small.std()), 1.0))

    def motion(self) -> float | None:
        """Standard deviation over time of the face's brightness, in percent of its contrast; None for too few
        pictures."""
        return 100 * float(np.std(self._patches, axis=0).mean()) if len(self._patches) >= FEWEST else None


def shake(landmarks: Float[np.ndarray, "t n 2"], found: Bool[np.ndarray, " t"], rate: float) -> float | None:
    """How the face's middle trembles from frame to frame, in percent of its size; None for too few frames."""
    places = np.flatnonzero(found)
    if len(places) < FEWEST:
        return None
    seen = landmarks[places].astype(float)
    face = float(np.median(np.linalg.norm(seen[:, FOREHEAD] - seen[:, CHIN], axis=-1)))
    path, near = seen.mean(1), np.diff(places) == 1  # t 2
    bends = (path[2:] - 2 * path[1:-1] + path[:-2])[near[1:] & near[:-1]]
    trembles = float(np.sqrt((bends**2).sum(1).mean())) if len(bends) else 0.0
    return 100 * trembles * min(1.0, rate / 25) / max(face, 1e-6)


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
