"""Systems that put an image of known quality in the place of a generated one."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from dagan.data.clips import find_clips, fit_square
from dagan.data.protocols import chosen_frames

BLUR = 3.0  # pixels: standard deviation at 256 x 256


def blurred(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(BLUR)))


IMAGES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {  # of source and driving frame
    "driving frame": lambda source, driving: driving,
    "blurred driving frame": lambda source, driving: blurred(driving),
    "unmoved source": lambda source, driving: source,
    "black frame": lambda source, driving: np.zeros_like(driving),
}
DRIVING, BLURRED, UNMOVED, BLACK = IMAGES
OTHER_PERSON = "another person"


@dataclass(frozen=True)
class KnownQuality:
    """One of `IMAGES` by name; a value that other processes can build."""

    name: str

    def fingerprint(self):
        return self.name

    def build(self, motion="given"):
        return self

    def generate(self, pair, images):
        return IMAGES[self.name](images.source, images.driving)


@dataclass(frozen=True)
class OtherPerson:
    """The first frame of a clip of somebody who is in neither frame of the pair."""

    clips: str
    name = OTHER_PERSON

    def fingerprint(self):
        return self.name

    def build(self, motion="given"):
        return self

    def generate(self, pair, images):
        people = {pair.source.clip.identity, pair.driving.clip.identity}
        others = [clip for clip in find_clips(self.clips) if clip.identity not in people]
        chosen = next((clip for clip in others if clip.name > pair.driving.clip.name), others[0])
        return fit_square(next(chosen_frames(chosen, [0]))[1], len(images.driving))
