"""What `make demo` needs is in the package and fits together. New keypoint networks need `dagan record`."""

from importlib.resources import files

import pytest

import dagan
from dagan.data.pictures import read_image
from dagan.images import apply_crop
from dagan.inference.animator import Animator
from dagan.inference.crop import crop_for_image
from dagan.inference.drivers import open_driver

ASSETS = files("dagan") / "assets"
MAX_MEGABYTES = 40


@pytest.fixture(scope="module")
def rendering():
    animator = Animator(dagan.load())
    picture = read_image(str(ASSETS / "astronaut.png"))
    source = animator.set_source(apply_crop(picture, crop_for_image(picture, "auto"), 256)[None])
    driver = open_driver(ASSETS / "driver.safetensors", "auto", 256)
    return source, next(driver.drive(animator))


def test_the_bundled_driver_was_recorded_with_the_bundled_weights(rendering):
    source, first = rendering
    assert first.generated.shape == source.image.shape


def test_the_first_frame_of_a_relative_motion_is_nearly_the_photo(rendering):
    source, first = rendering
    assert float((first.generated - source.image).abs().mean()) < 0.05


def test_the_bundled_weights_are_small_enough_to_bundle():
    assert (ASSETS / "dagan-lite.safetensors").stat().st_size <= MAX_MEGABYTES * 2**20
