"""The matte of a person: MediaPipe's network, converted."""

from pathlib import Path

import pytest
import torch

import dagan
from dagan.data.pictures import read_image
from dagan.images import Crop, apply_crop
from dagan.models.matte import MatteNet, load_matte


@pytest.fixture(scope="module")
def matte() -> MatteNet:
    return load_matte()


def test_the_portrait_is_told_from_its_background(matte: MatteNet) -> None:
    photo = read_image(Path(dagan.__file__).parent / "assets" / "astronaut.png")
    found = matte(apply_crop(photo, Crop(74, 0, 300), 256)[None])[0, 0]
    assert found[100, 128] > 0.99  # the face
    assert found[40, 120] > 0.99  # hair
    assert found[250, 128] > 0.99  # the suit
    assert found[:60, :40].max() < 0.01
    assert 0.5 < found.mean() < 0.53  # as TensorFlow Lite's own run of the file: 0.5178


def test_images_of_any_size_have_mattes_of_that_size(matte: MatteNet) -> None:
    found = matte(torch.rand(2, 3, 96, 160))
    assert found.shape == (2, 1, 96, 160)
    assert 0 <= found.min() <= found.max() <= 1


def test_it_takes_no_gradient(matte: MatteNet) -> None:
    assert not any(parameter.requires_grad for parameter in matte.parameters())
    assert not matte(torch.rand(1, 3, 64, 64, requires_grad=True)).requires_grad
