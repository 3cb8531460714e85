"""A visible word in the corner of every picture, for those who must tell viewers."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

HEIGHT = 0.05  # of the letters, of the picture's shorter side
LEAST_HEIGHT = 9  # pixels: smaller letters cannot be read
MARGIN = 0.5  # of the letters' height, around the word
SHADE = 0.45  # of the picture behind the word that is left


class Label:
    """Writes a word in white on a darkened strip, lower left, into pictures of (width, height)."""

    def __init__(self, word: str, size: tuple[int, int]) -> None:
        width, height = size
        letters = max(LEAST_HEIGHT, round(HEIGHT * min(size)))
        font = ImageFont.load_default(size=letters)
        margin = round(MARGIN * letters)
        long = round(font.getlength(word))
        drawn = Image.new("L", (long + 2 * margin, letters + 2 * margin), 0)
        ImageDraw.Draw(drawn).text((margin, drawn.height // 2), word, fill=255, anchor="lm", font=font)
        self._ink = np.asarray(drawn, np.float32)[:height, :width, None] / 255

    def apply(self, picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """The picture with the word; the given one stays as it is."""
        labelled = picture.copy()
        rows, columns = self._ink.shape[:2]
        corner = labelled[-rows:, :columns]
        corner[:] = np.rint(255 * self._ink + (1 - self._ink) * SHADE * corner).astype(np.uint8)
        return labelled
