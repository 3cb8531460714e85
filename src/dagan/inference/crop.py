"""The square around a face, framed as the training clips are (VoxCeleb-like)."""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import UInt8

from dagan.errors import UserError
from dagan.images import Crop
from dagan.inference.face_choice import FaceChoice, at, choice_line, choose_face, extent, no_such_face
from dagan.inference.face_detector import FaceBox, FaceDetector, YuNet
from dagan.inference.face_search import find_faces
from dagan.inference.quarter_turn import turn_box, turn_point, turn_size

# Measured with YuNet on 5 frames of each of 227 training clips: the face's size (root of its box's area) is 0.51 of
# the frame (1st to 99th percentile 0.41 to 0.77); its centre lies in the middle (0.33 to 0.66 across and down).
FACE_SHARE = 0.51
USUAL_SHARE = (0.33, 0.90)
USUAL_CENTRE = (0.25, 0.75)
MAX_SHARE = 0.66  # the 95th percentile: a tighter photo is padded rather than cropped closer
MAX_SHIFT = 0.2  # of the crop's side: how far the face may leave the middle to avoid padding


CropChoice = Literal["none", "auto"] | Crop
_WORDS: dict[str, CropChoice] = {"none": "none", "auto": "auto"}


def parse_crop(text: str) -> CropChoice:
    """What `--crop` asks for: `none`, `auto`, or the smallest square around the rectangle `x,y,w,h` (pixels).

    Raises:
        UserError: anything else.
    """
    if text in _WORDS:
        return _WORDS[text]
    if not re.fullmatch(r"\s*-?[0-9]{1,6}\s*(,\s*-?[0-9]{1,6}\s*){3}", text):
        raise UserError(f"--crop takes none, auto or x,y,w,h in whole pixels (such as 100,40,256,256), got {text!r}")
    x, y, width, height = (int(number) for number in text.split(","))
    if width < 2 or height < 2:
        raise UserError(f"--crop needs a width and a height of at least 2 pixels, got {width}x{height}")
    size = max(width, height)
    return Crop(x - (size - width) // 2, y - (size - height) // 2, size)


class PhotoFraming(NamedTuple):
    """How a photo is used: turned (`quarter_turn.turn`), then cropped; the result is turned back by -quarter.

    `note` is the line that says which of several faces was taken.
    """

    crop: Crop
    quarter: int = 0
    note: str | None = None

    def said(self, path: Path) -> list[str]:
        """What was out of the ordinary with the photo of that file, each in a few words."""
        lines = [f"{path}: {self.note}"] if self.note else []
        return lines + [f"{path} lay on its side or upside down: turned upright, and back"] * bool(self.quarter)


def frame_photo(
    image: UInt8[np.ndarray, "h w 3"],
    choice: CropChoice,
    face: FaceChoice = "largest",
    detector: FaceDetector | None = None,
    name: str = "the image",
) -> PhotoFraming:
    """The turn and the crop of a photo; only `auto` looks for a face. `name` is what an error calls it.

    Raises:
        UserError: `auto` finds no face, or none such, or the square that was asked for lies outside.
    """
    size = (image.shape[1], image.shape[0])
    if choice != "auto":
        return PhotoFraming(fixed_crop(choice, size, name))
    found = find_faces(image, detector or YuNet())
    if not found.faces:
        raise UserError(f"no face found in {name}; use --crop none or --crop x,y,w,h if there is one")
    turned = turn_size(size, found.quarter)
    meant = turn_point(face, size, found.quarter) if isinstance(face, tuple) else face
    taken = choose_face(found.faces, meant)
    where = partial(_place_before_turn, size=turned, quarter=found.quarter)
    if taken is None:
        raise no_such_face(found.faces, face, name, where)
    return PhotoFraming(crop_of_faces([taken], turned), found.quarter, choice_line(found.faces, taken, where))


def crop_of_faces(faces: Sequence[FaceBox], image_size: tuple[int, int], most: float = float("inf")) -> Crop:
    """The square for the same face in several frames: the central one if it frames the median face as a clip does;
    otherwise the square around it, widened until it holds each of them, unless it becomes `most` times as large."""
    face = _median(faces)
    if is_face_crop(face, image_size):
        return central_square(image_size)
    crop = square_crop(face, image_size)
    wide = _containing(crop, faces)
    return wide if wide.size <= most * crop.size else crop


def fixed_crop(choice: Literal["none"] | Crop, image_size: tuple[int, int], name: str) -> Crop:
    """The crop of a choice for which nobody looks for a face. Raises UserError: the square lies outside."""
    if choice == "none":
        return central_square(image_size)
    width, height = image_size
    if choice.x >= width or choice.y >= height or choice.x + choice.size <= 0 or choice.y + choice.size <= 0:
        raise UserError(f"--crop lies outside of {name}, which is {width}x{height} pixels")
    return choice


def turn_crop(crop: Crop, size: tuple[int, int], quarter: int) -> Crop:
    """Where a crop of a picture of (width, height) lies once the picture is turned."""
    x, y, side = (float(value) for value in crop)
    box = turn_box(FaceBox(x, y, side, side, 1.0, np.zeros((5, 2))), size, quarter)
    return Crop(round(box.x), round(box.y), crop.size)


def central_square(image_size: tuple[int, int]) -> Crop:
    """The largest centred square of an image of (width, height)."""
    width, height = image_size
    size = min(width, height)
    return Crop((width - size) // 2, (height - size) // 2, size)


def square_crop(face: FaceBox, image_size: tuple[int, int]) -> Crop:
    """The square around a face that frames it as the training clips do; `image_size` is (width, height).

    It is shrunk and shifted a little where that keeps it inside the image: real pixels are worth more than framing.
    """
    wanted, tightest = extent(face) / FACE_SHARE, extent(face) / MAX_SHARE
    size = round(min(wanted, max(tightest, min(image_size))))
    x, y = (
        _shift_inside(start + extent / 2 - size / 2, size, available)
        for start, extent, available in zip((face.x, face.y), (face.width, face.height), image_size, strict=True)
    )
    return Crop(x, y, size)


def is_face_crop(face: FaceBox, image_size: tuple[int, int]) -> bool:
    """Whether a picture of (width, height) already is square with the face as large and central as in the clips."""
    width, height = image_size
    if width != height:
        return False
    centre = (face.x + face.width / 2) / width, (face.y + face.height / 2) / height
    is_central = all(USUAL_CENTRE[0] <= c <= USUAL_CENTRE[1] for c in centre)
    return is_central and USUAL_SHARE[0] <= extent(face) / width <= USUAL_SHARE[1]


def _shift_inside(start: float, size: int, available: int) -> int:
    """The start of a crop moved towards the image, or towards covering all of it, by at most MAX_SHIFT of its size."""
    low, high = min(0, available - size), max(0, available - size)
    shift = min(max(start, low), high) - start
    return round(start + min(max(shift, -MAX_SHIFT * size), MAX_SHIFT * size))


def _median(faces: Sequence[FaceBox]) -> FaceBox:
    x, y, width, height, score = np.median([face[:5] for face in faces], axis=0).tolist()
    return FaceBox(x, y, width, height, score, np.median([face.points for face in faces], axis=0))


def _containing(crop: Crop, faces: Sequence[FaceBox]) -> Crop:
    """The crop, grown about its middle until every face box lies inside."""
    left, top = min(face.x for face in faces), min(face.y for face in faces)
    right, bottom = max(face.x + face.width for face in faces), max(face.y + face.height for face in faces)
    missing = max(0.0, crop.x - left, crop.y - top, right - crop.x - crop.size, bottom - crop.y - crop.size)
    margin = int(np.ceil(missing))
    return Crop(crop.x - margin, crop.y - margin, crop.size + 2 * margin)


def _place_before_turn(face: FaceBox, size: tuple[int, int], quarter: int) -> str:
    """Where a face of a turned picture of (width, height) lies in the picture as it was given."""
    return at(turn_box(face, size, -quarter))
