"""Pictures that lie on their side or upside down, turned by quarters of a circle, and back."""

import numpy as np
from jaxtyping import UInt8

from dagan.inference.face_detector import FaceBox

Point = tuple[float, float]


def turn(picture: UInt8[np.ndarray, "h w 3"], quarter: int) -> UInt8[np.ndarray, "_h _w 3"]:
    """The picture turned counterclockwise by `quarter` quarter turns; `turn(turned, -quarter)` turns it back."""
    return picture if quarter % 4 == 0 else np.ascontiguousarray(np.rot90(picture, quarter % 4))


def turn_size(size: tuple[int, int], quarter: int) -> tuple[int, int]:
    """(width, height) of a picture of that size, turned."""
    return size if quarter % 2 == 0 else (size[1], size[0])


def turn_point(point: Point, size: tuple[int, int], quarter: int) -> Point:
    """Where a point (x, y) of a picture of (width, height) lies once the picture is turned."""
    (x, y), (width, height) = point, size
    for _ in range(quarter % 4):
        (x, y), (width, height) = (y, width - x), (height, width)
    return x, y


def turn_box(face: FaceBox, size: tuple[int, int], quarter: int) -> FaceBox:
    """A face of a picture of (width, height) once the picture is turned; its points turn with it."""
    if quarter % 4 == 0:
        return face
    ends = [turn_point(end, size, quarter) for end in ((face.x, face.y), (face.x + face.width, face.y + face.height))]
    (left, right), (top, bottom) = (sorted(values) for values in zip(*ends, strict=True))
    points = np.array([turn_point((x, y), size, quarter) for x, y in face.points.tolist()])
    return FaceBox(left, top, right - left, bottom - top, face.score, points)
