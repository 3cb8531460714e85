"""The faces of a picture that may lie on its side, and that may show them small.

YuNet's score tells how a face lies, its points do not: they follow the picture (a roll within 35 degrees of level in
each of four quarter turns of 133 photos). On these photos the score was 0.92 or more upright, at most 0.914 upside
down and at most 0.89 lying.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dagan.inference.face_choice import extent, left_to_right
from dagan.inference.face_detector import FaceBox, FaceDetector
from dagan.inference.quarter_turn import turn, turn_box

Picture = UInt8[np.ndarray, "h w 3"]
Part = UInt8[np.ndarray, "_h _w 3"]  # of a picture, or at another size

CONVINCING = 0.92  # an upright face that needs no second look
CERTAIN = 0.8  # least score of a face that a first look at the whole picture did not see, from near by
LYING = 0.85  # least score of a face for which a picture is turned,
MARGIN = 0.03  # and by how much it exceeds the upright one
NEAR = 3.0  # side of what is looked at from near by, in sizes of the face
NEAR_SIDE = 256
TILE, TILE_STEP = 640, 480  # the detector's input; tiles overlap by a quarter
TILED_SIDES = (1280, 2560, 5120)  # long side of the pictures that are cut into tiles: each finds faces of half the size
LYING_TILED_SIDES = ((1280,), (2560,))  # after a turn; finer ones would take too long
LEAST_IN_TILE = 0.7
SAME = 0.3  # intersection over union of two boxes of one face


class FoundFaces(NamedTuple):
    """The faces of a picture, left to right, in pixels of `turn(picture, quarter)`, where they are upright."""

    faces: list[FaceBox]
    quarter: int


def find_faces(picture: Picture, detector: FaceDetector, small: bool = True) -> FoundFaces:
    """The faces of a picture; empty if there is none.

    First the whole picture is looked at as it is, then, where that shows nothing, on its sides and, for `small` ones,
    in tiles. The faces of a convincing first look are the detector's own.
    """
    faces = detector.detect(picture)
    if faces and faces[0].score >= CONVINCING:
        return FoundFaces(left_to_right(faces), 0)
    if faces:
        return _upright(picture, faces, _lies(picture, faces[0], detector), detector)
    for search in SEARCHES if small else SEARCHES[:1]:
        for candidates in search(picture, detector):
            seen = [(face, _near_scores(picture, face, detector)) for face in candidates]
            certain = [(face, scores) for face, scores in seen if max(scores) >= CERTAIN]
            if certain:
                best = max((scores for _, scores in certain), key=max)
                return _upright(picture, [face for face, _ in certain], _quarter(best), detector)
    return FoundFaces([], 0)


def overlap(a: FaceBox, b: FaceBox) -> float:
    """Intersection over union of two boxes."""
    width = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    height = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / max(a.width * a.height + b.width * b.height - shared, 1e-6)


def in_tiles(picture: Picture, detector: FaceDetector) -> list[FaceBox]:
    """Faces of an upright picture that are too small for a look at the whole, each seen again from near by."""
    for candidates in _in_tiles(picture, detector):
        if certain := [face for face in candidates if _near_scores(picture, face, detector)[0] >= CERTAIN]:
            return certain
    return []


def look_near(picture: Picture, face: FaceBox, detector: FaceDetector, reach: float = NEAR) -> list[FaceBox]:
    """Faces in the surroundings of one, `reach` times its size, in pixels of the picture."""
    left, top, part = _around(picture, face, reach)
    return (
        [_placed(found, 1.0, left, top) for found in detector.detect(np.ascontiguousarray(part))] if part.size else []
    )


def _upright(picture: Picture, faces: list[FaceBox], quarter: int, detector: FaceDetector) -> FoundFaces:
    """The faces of the picture, once it is turned."""
    if quarter == 0:
        return FoundFaces(left_to_right(faces), 0)
    size = (picture.shape[1], picture.shape[0])
    again = detector.detect(turn(picture, quarter)) or [turn_box(face, size, quarter) for face in faces]
    return FoundFaces(left_to_right(again), quarter)


def _lies(picture: Picture, face: FaceBox, detector: FaceDetector) -> int:
    return _quarter(_near_scores(picture, face, detector))


def _quarter(scores: Sequence[float]) -> int:
    """The quarter turn with the best score, if it is that of an upright face and no other's comes near it."""
    best = int(np.argmax(scores))
    return best if scores[best] >= max(LYING, scores[0] + MARGIN) else 0


def _near_scores(picture: Picture, face: FaceBox, detector: FaceDetector) -> list[float]:
    """Scores of the best face near by after 0, 1, 2 and 3 quarter turns; 0 where none is seen."""
    _, _, part = _around(picture, face, NEAR)
    if not part.size:
        return [0.0] * 4
    height, width = part.shape[:2]
    scale = NEAR_SIDE / max(height, width)
    part = _resized(part, (max(1, round(width * scale)), max(1, round(height * scale))))
    return [max((f.score for f in detector.detect(turn(part, quarter))), default=0.0) for quarter in range(4)]


def _around(picture: Picture, face: FaceBox, reach: float) -> tuple[int, int, Part]:
    """What lies around a face inside the picture, and its left and upper edge."""
    half = reach * extent(face) / 2
    x, y = face.x + face.width / 2, face.y + face.height / 2
    left, top = max(0, round(x - half)), max(0, round(y - half))
    return left, top, picture[top : max(0, round(y + half)), left : max(0, round(x + half))]


def _on_its_sides(picture: Picture, detector: FaceDetector) -> Iterator[list[FaceBox]]:
    """Faces that show after one, two or three quarter turns, in pixels of the picture as it is."""
    height, width = picture.shape[:2]
    scale = min(1.0, TILE / max(height, width))
    small = _resized(picture, (max(1, round(width * scale)), max(1, round(height * scale))))
    for quarter in (1, 3, 2):
        turned = turn(small, quarter)
        size = (turned.shape[1], turned.shape[0])
        yield [_placed(turn_box(face, size, -quarter), scale, 0, 0) for face in detector.detect(turned)]


def _in_tiles(picture: Picture, detector: FaceDetector, sides: Sequence[int] = TILED_SIDES) -> Iterator[list[FaceBox]]:
    """Faces in overlapping tiles, coarse first."""
    look = getattr(detector, "look", detector.detect)  # one look at a tile is enough, where the detector offers it
    height, width = picture.shape[:2]
    longest, done = max(height, width), TILE
    for side in (min(side, longest) for side in sides):
        if side < 1.2 * done:
            return
        done, scale = side, side / longest
        smaller = _resized(picture, (max(1, round(width * scale)), max(1, round(height * scale))))
        found: list[FaceBox] = []
        for top in _starts(smaller.shape[0]):
            for left in _starts(smaller.shape[1]):
                faces = look(np.ascontiguousarray(smaller[top : top + TILE, left : left + TILE]))
                found += [_placed(face, scale, left, top) for face in faces if face.score >= LEAST_IN_TILE]
        yield _distinct(found)


def _in_tiles_on_its_sides(picture: Picture, detector: FaceDetector) -> Iterator[list[FaceBox]]:
    """Small faces that show after one, two or three quarter turns, in pixels of the picture as it is."""
    for sides in LYING_TILED_SIDES:
        for quarter in (1, 3, 2):
            turned = turn(picture, quarter)
            size = (turned.shape[1], turned.shape[0])
            for found in _in_tiles(turned, detector, sides):
                yield [turn_box(face, size, -quarter) for face in found]


SEARCHES: tuple[Callable[[Picture, FaceDetector], Iterator[list[FaceBox]]], ...] = (
    _on_its_sides,
    _in_tiles,
    _in_tiles_on_its_sides,
)


def _starts(length: int) -> list[int]:
    """Where tiles begin that cover a length."""
    last = max(0, length - TILE)
    steps = -(-last // TILE_STEP)
    return [round(step * last / max(steps, 1)) for step in range(steps + 1)]


def _placed(face: FaceBox, scale: float, left: int, top: int) -> FaceBox:
    """A face that was seen in a part at `scale` that begins at (left, top), in pixels of the whole."""
    points = (face.points + np.array([left, top])) / scale
    x, y = (face.x + left) / scale, (face.y + top) / scale
    return FaceBox(x, y, face.width / scale, face.height / scale, face.score, points)


def _distinct(faces: list[FaceBox]) -> list[FaceBox]:
    """One box for each face, the best first."""
    kept: list[FaceBox] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if all(overlap(face, other) <= SAME for other in kept):
            kept.append(face)
    return kept


def _resized(picture: Picture, size: tuple[int, int]) -> Part:
    if size == (picture.shape[1], picture.shape[0]):
        return picture
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
