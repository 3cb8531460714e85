"""A real face (the bundled portrait, cut around it) and the observer that measures it; made once."""

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from dagan.data.decoding import read_image
from dagan.evaluation.observers import FACE_LANDMARKER, MediaPipeFace

FACE_BOX = (118, 16, 330, 228)  # left, top, right, bottom in the portrait: the face in the middle, room to move
SIDE = 256


@pytest.fixture(scope="session")
def observer() -> Iterator[MediaPipeFace]:
    with MediaPipeFace() as face_observer:
        yield face_observer


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    image = Image.fromarray(read_image(FACE_LANDMARKER.with_name("astronaut.png")))
    return np.asarray(image.crop(FACE_BOX).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
