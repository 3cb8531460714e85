"""What `make demo` needs is in the package and fits together. New keypoint networks need `dagan record`."""

from importlib.resources import files

import numpy as np
import pytest

import dagan
from dagan.data.pictures import read_image
from dagan.images import apply_crop, to_pixels
from dagan.inference.animator import Animator
from dagan.inference.crop import frame_photo
from dagan.inference.drivers import open_driver, watched

ASSETS = files("dagan") / "assets"
MAX_MEGABYTES = 40


@pytest.fixture(scope="module")
def shown():
    """The portrait of the demo, and the first picture of it."""
    animator = Animator(dagan.load(), "torch", "fp32")
    photo = read_image(str(ASSETS / "astronaut.png"))
    portrait = apply_crop(photo, frame_photo(photo, "auto").crop, 256)[None]
    animator.set_source(portrait)
    driver = open_driver(ASSETS / "driver.safetensors", "auto")
    return to_pixels(portrait), next(animator.from_motion(watched(driver, animator)))


def test_the_bundled_driver_was_recorded_with_the_bundled_weights(shown):
    portrait, first = shown
    assert first.shape == portrait.shape


def test_the_first_frame_of_a_relative_motion_is_nearly_the_photo(shown):
    portrait, first = shown
    assert np.abs(first.astype(int) - portrait).mean() < 0.05 * 255


def test_the_bundled_weights_are_small_enough_to_bundle():
    assert (ASSETS / "dagan-lite.safetensors").stat().st_size <= MAX_MEGABYTES * 2**20
