"""Where pictures are drawn: a photo, of which a square moves, or the square alone."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from dagan.images import Crop, apply_crop

Picture = UInt8[np.ndarray, "_h _w 3"]  # RGB


class Canvas(NamedTuple):
    """`photo`: upright; None for pictures of the square alone. `crop`: the square that moves, maybe beyond the photo.

    `size`: the square's side in pictures, which is the crop's own unless the square is alone.
    """

    photo: Picture | None
    crop: Crop
    size: int

    def place(self, square: Picture) -> Picture:
        """The picture in which the square looks like this."""
        if self.photo is None:
            return square
        picture, (x, y, side) = self.photo.copy(), self.crop
        height, width = picture.shape[:2]
        left, top, right, bottom = max(x, 0), max(y, 0), min(x + side, width), min(y + side, height)
        picture[top:bottom, left:right] = square[top - y : bottom - y, left - x : right - x]
        return picture

    @property
    def size_of_pictures(self) -> tuple[int, int]:
        """Width and height of the pictures."""
        return (self.size, self.size) if self.photo is None else (self.photo.shape[1], self.photo.shape[0])


def shrunk(photo: Picture, crop: Crop, max_side: int) -> tuple[Picture, Crop]:
    """The photo and its crop, scaled so that the longest side has at most `max_side` pixels."""
    height, width = photo.shape[:2]
    scale = min(1.0, max_side / max(height, width))
    if scale == 1:
        return photo, crop
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    smaller = Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS)
    return np.asarray(smaller), Crop(*(round(value * scale) for value in crop))


def sharp_square(photo: Picture, canvas: Canvas) -> Float[Tensor, "1 3 s s"]:
    """The square as sharp as the photo has it, RGB in [0, 1]."""
    return apply_crop(photo, canvas.crop, canvas.size)[None]
