"""Which of several faces is meant: `--face largest|N|x,y`."""

import re
from collections.abc import Callable, Sequence
from typing import Literal

from dagan.errors import UserError
from dagan.inference.face_detector import FaceBox

FaceChoice = Literal["largest"] | int | tuple[float, float]
MOST_LISTED = 4  # numbers of other faces in the line that says which was taken
REACH = 0.5  # of a face's size: how far beside its box a point may lie


def parse_face(text: str) -> FaceChoice:
    """What `--face` asks for: `largest`, a number that counts the faces from left to right, or a point in pixels.

    Raises:
        UserError: anything else.
    """
    text = text.strip()
    if text == "largest":
        return "largest"
    if re.fullmatch(r"[1-9][0-9]{0,3}", text):
        return int(text)
    if re.fullmatch(r"[0-9]{1,6}\s*,\s*[0-9]{1,6}", text):
        x, y = text.split(",")
        return float(x), float(y)
    raise UserError(f"--face takes largest, a number from 1 (left to right), or x,y in pixels; got {text!r}")


def choose_face(faces: Sequence[FaceBox], choice: FaceChoice) -> FaceBox | None:
    """The face that is meant, or None if there is none such."""
    if not faces:
        return None
    if choice == "largest":
        return max(faces, key=extent)
    if isinstance(choice, int):
        return left_to_right(faces)[choice - 1] if choice <= len(faces) else None
    near = [face for face in faces if _beside(face, choice) <= REACH * extent(face)]
    return min(near, key=lambda face: _to_centre(face, choice), default=None)


def left_to_right(faces: Sequence[FaceBox]) -> list[FaceBox]:
    return sorted(faces, key=lambda face: centre(face)[0])


def extent(face: FaceBox) -> float:
    """A face's size in pixels: the root of its area changes least as the head turns."""
    return float((max(face.width, 0.0) * max(face.height, 0.0)) ** 0.5)


def centre(face: FaceBox) -> tuple[float, float]:
    return face.x + face.width / 2, face.y + face.height / 2


def at(face: FaceBox) -> str:
    """The middle of a face in whole pixels, as `--face` reads it."""
    return ",".join(str(max(0, round(value))) for value in centre(face))


Where = Callable[[FaceBox], str]


def no_such_face(faces: Sequence[FaceBox], choice: FaceChoice, name: str, where: Where = at) -> UserError:
    """The error for a choice that fits none of the faces; `name` is the picture's."""
    asked = ",".join(f"{value:g}" for value in choice) if isinstance(choice, tuple) else choice
    there = "; ".join(f"--face {number} is at {where(face)}" for number, face in enumerate(left_to_right(faces), 1))
    return UserError(f"no face for --face {asked} in {name}, which shows {_count(faces)}: {there}")


def choice_line(faces: Sequence[FaceBox], taken: FaceBox, where: Where = at) -> str | None:
    """Which of several faces was taken and how to choose another, in one line; None where there was no choice."""
    if len(faces) < 2:
        return None
    number = next(place for place, face in enumerate(left_to_right(faces), 1) if face is taken)
    what = "the largest" if taken is choose_face(faces, "largest") else f"face {number}"
    return f"{_count(faces)}: took {what}, at {where(taken)}; {_others(number, len(faces))}"


def _others(number: int, count: int) -> str:
    """How to choose a face that was not taken, however many there are."""
    others = [str(other) for other in range(1, count + 1) if other != number]
    if len(others) == 1:
        return f"--face {others[0]} is the other"
    if len(others) <= MOST_LISTED:
        return f"--face {', '.join(others)} are the others"
    return f"--face 1 to {count}, from left to right, or --face x,y takes another"


def _count(faces: Sequence[FaceBox]) -> str:
    return f"{len(faces)} face{'s' * (len(faces) != 1)}"


def _beside(face: FaceBox, point: tuple[float, float]) -> float:
    """How far a point lies outside of a face's box, in pixels."""
    starts, sides = (face.x, face.y), (face.width, face.height)
    return max(
        max(start - value, value - start - side, 0.0) for value, start, side in zip(point, starts, sides, strict=True)
    )


def _to_centre(face: FaceBox, point: tuple[float, float]) -> float:
    x, y = centre(face)
    return float(((x - point[0]) ** 2 + (y - point[1]) ** 2) ** 0.5)
