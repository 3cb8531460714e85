"""From a face's track to stretches that one crop holds, and what their boxes alone say against them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dagan.images import Crop
from dagan.inference.crop import crop_of_faces
from dagan.inference.face_choice import extent
from dagan.inference.face_detector import FaceBox
from dagan.preparation.settings import Settings
from dagan.preparation.tracks import Track

MOST_WIDENED = 1.35  # of the crop around the median face, for the head's motion
MAY_LEAVE = 0.03  # of the crop's side: how far a face may reach beyond it
SAMPLES = 24  # faces that decide about a crop
HEAD = 1.4  # side of a head, in sides of its face's box
INSIDE = 0.1  # share of another head that is in the crop when it counts
AT_EDGE = 0.03  # of the face's size: a face no farther from the edge of the frame is cut off by it


class Piece(NamedTuple):
    """A stretch of a track with its crop, and what speaks against it, if anything does."""

    track: Track
    crop: Crop
    face: float
    confidence: float
    outside: float
    crowd: float
    reason: str


def pieces_of(
    track: Track, others: Sequence[Track], image_size: tuple[int, int], rate: float, settings: Settings
) -> list[Piece]:
    """A track in equal parts of at most `max_seconds`, each again in stretches that one crop holds."""
    shortest, longest = round(settings.min_seconds * rate), max(2, round(settings.max_seconds * rate))
    length = len(track.scores)
    parts = -(-length // longest)
    ends = [track.first + round(part * length / parts) for part in range(parts + 1)]
    found: list[Piece] = []
    for first, end in pairwise(ends):
        for start, stop, holds in _held(track.part(first, end), image_size, shortest):
            reason = "short" if length < shortest else "" if holds else "moving"
            found.append(_judged(track.part(start, stop), others, image_size, settings, reason))
    return found


def _held(track: Track, image_size: tuple[int, int], shortest: int) -> list[tuple[int, int, bool]]:
    """First and end of the longest stretches, one after the other, whose faces one crop holds. Those that are too
    short are joined to ones that no crop need hold."""
    stretches: list[tuple[int, int, bool]] = []
    start = track.first
    while start < track.end:
        low, high = start + 1, track.end
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if _fits(track.part(start, middle), image_size) else (low, middle - 1)
        if low - start < shortest and stretches and not stretches[-1][2]:
            start = stretches.pop()[0]
            stretches.append((start, low, False))
        else:
            stretches.append((start, low, low - start >= shortest))
        start = low
    return stretches


def _fits(track: Track, image_size: tuple[int, int]) -> bool:
    crop = crop_around(track, image_size)
    boxes = track.boxes
    beyond = np.maximum(crop.x - boxes[:, 0], boxes[:, 0] + boxes[:, 2] - crop.x - crop.size)
    below = np.maximum(crop.y - boxes[:, 1], boxes[:, 1] + boxes[:, 3] - crop.y - crop.size)
    return bool(np.maximum(beyond, below).max() <= MAY_LEAVE * crop.size)


def crop_around(track: Track, image_size: tuple[int, int]) -> Crop:
    """The square that shows the track's face as training clips do, with room for its motion."""
    chosen = np.linspace(0, len(track.scores) - 1, min(SAMPLES, len(track.scores))).round().astype(int)
    return crop_of_faces([_face(track.boxes[place]) for place in chosen], image_size, MOST_WIDENED)


def _judged(
    track: Track, others: Sequence[Track], image_size: tuple[int, int], settings: Settings, reason: str
) -> Piece:
    crop = crop_around(track, image_size)
    width, height = image_size
    frame = np.array([[0.0, 0.0, width, height]])
    square = np.array([[crop.x, crop.y, crop.size, crop.size]], float)
    outside = 1 - float(_shared(square, frame)[0]) / crop.size**2
    crowd = _crowd(track, others, square)
    face = float(np.median([extent(_face(box)) for box in track.boxes]))
    confidence = float(np.median(track.scores))
    against = {
        reason: bool(reason),
        "small": face < settings.min_face,
        "uncertain": confidence < settings.min_confidence,
        "cut_off": outside > settings.max_outside or _margin(track, image_size) < AT_EDGE * face,
        "crowd": crowd > settings.max_crowd,
    }
    first = next((name for name, holds in against.items() if holds), "")
    return Piece(track, crop, face, confidence, outside, crowd, first)


def _margin(track: Track, image_size: tuple[int, int]) -> float:
    """Pixels between the face and the nearest edge of the frame: what the detector sees of a face ends there."""
    starts, ends = track.boxes[:, :2], track.boxes[:, :2] + track.boxes[:, 2:]
    return float(np.median(np.minimum(starts, np.array(image_size) - ends).min(1)))


def _crowd(track: Track, others: Sequence[Track], square: Float[np.ndarray, "1 4"]) -> float:
    """Share of the frames in which another face is in the crop."""
    crowded = np.zeros(len(track.scores), bool)
    for other in others:
        first, end = max(track.first, other.first), min(track.end, other.end)
        if first >= end:
            continue
        boxes = other.part(first, end).boxes
        if not np.array_equal(boxes, track.part(first, end).boxes):  # it is not the track itself
            heads = np.concatenate([boxes[:, :2] - boxes[:, 2:] * (HEAD - 1) / 2, boxes[:, 2:] * HEAD], 1)
            shared = _shared(heads, square) / np.maximum(heads[:, 2:].prod(1), 1e-6)
            crowded[first - track.first : end - track.first] |= shared > INSIDE
    return float(crowded.mean())


def _shared(boxes: Float[np.ndarray, "t 4"], other: Float[np.ndarray, "1 4"]) -> Float[np.ndarray, " t"]:
    """Area that boxes (x, y, width, height) share with another."""
    low, high = (
        np.maximum(boxes[:, :2], other[:, :2]),
        np.minimum(boxes[:, :2] + boxes[:, 2:], other[:, :2] + other[:, 2:]),
    )
    area: Float[np.ndarray, " t"] = np.clip(high - low, 0, None).prod(1)
    return area


def _face(box: Float[np.ndarray, "4"]) -> FaceBox:
    x, y, width, height = box.tolist()
    return FaceBox(x, y, width, height, 1.0, np.zeros((5, 2)))
