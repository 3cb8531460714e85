from importlib import resources

import numpy as np
import pytest
import torch

from dagan.data.pictures import read_image
from dagan.errors import UserError
from dagan.images import Crop, apply_crop
from dagan.inference.crop import (
    FACE_SHARE,
    central_square,
    crop_of_faces,
    frame_photo,
    is_face_crop,
    parse_crop,
    square_crop,
)
from dagan.inference.face_detector import FaceBox


def _face(x, y, size):
    return FaceBox(float(x), float(y), float(size), float(size), 0.95, np.zeros((5, 2), np.float32))


class _Scripted:
    """A detector that gives the faces it was told, frame by frame."""

    def __init__(self, *faces):
        self.faces = list(faces)

    def detect(self, image):
        return self.faces.pop(0) if self.faces else []


def _frame(height, width):
    return np.zeros((height, width, 3), np.uint8)


def test_crop_choices_are_read():
    assert parse_crop("none") == "none"
    assert parse_crop("auto") == "auto"
    assert parse_crop("10,20,64,64") == Crop(10, 20, 64)
    assert parse_crop(" -4, 5, 64,32") == Crop(-4, -11, 64)  # the square around the rectangle


@pytest.mark.parametrize("text", ["", "face", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1,2,0,5", "1,2,-3,5", "1.5,2,3,4"])
def test_other_crop_choices_are_refused(text):
    with pytest.raises(UserError, match="--crop"):
        parse_crop(text)


def test_a_face_in_a_large_picture_is_framed_as_in_the_clips():
    crop = square_crop(_face(950, 450, 100), (2000, 1000))
    assert crop.size == round(100 / FACE_SHARE)
    assert (crop.x + crop.size / 2, crop.y + crop.size / 2) == pytest.approx((1000, 500), abs=1)


def test_a_face_near_the_edge_keeps_the_crop_inside():
    crop = square_crop(_face(20, 30, 100), (2000, 1000))
    assert (crop.x, crop.y) == (0, 0)
    crop = square_crop(_face(1890, 880, 100), (2000, 1000))
    assert (crop.x + crop.size, crop.y + crop.size) == (2000, 1000)


def test_a_face_that_fills_the_picture_is_padded_rather_than_cut():
    crop = square_crop(_face(0, 0, 100), (100, 110))
    assert crop.size > 140
    assert crop.x < 0 < 100 < crop.x + crop.size


def test_square_face_crops_are_left_alone_and_others_not():
    assert is_face_crop(_face(62, 62, 132), (256, 256))
    assert not is_face_crop(_face(62, 62, 132), (256, 300))
    assert not is_face_crop(_face(100, 100, 50), (256, 256))  # small
    assert not is_face_crop(_face(0, 0, 100), (256, 256))  # in the corner
    assert frame_photo(_frame(256, 256), "auto", detector=_Scripted([_face(62, 62, 132)])).crop == Crop(0, 0, 256)


def test_none_is_the_central_square_and_needs_no_detector():
    assert (
        frame_photo(_frame(100, 160), "none", detector=_Scripted()).crop
        == central_square((160, 100))
        == Crop(30, 0, 100)
    )


def test_no_face_says_what_to_do():
    with pytest.raises(UserError, match=r"no face found in photo\.jpg; use --crop none"):
        frame_photo(_frame(64, 64), "auto", detector=_Scripted([]), name="photo.jpg")


def test_a_square_outside_of_the_picture_is_refused():
    with pytest.raises(UserError, match="outside of the image, which is 64x48"):
        frame_photo(_frame(48, 64), Crop(64, 0, 32))
    assert frame_photo(_frame(48, 64), Crop(60, -8, 32)).crop == Crop(60, -8, 32)


def test_a_head_that_moves_far_stays_inside_the_crop():
    faces = [_face(x, 300, 100) for x in (400, 500, 500, 500, 650)]
    crop = crop_of_faces(faces, (1280, 720))
    assert crop.x <= 400
    assert crop.x + crop.size >= 750


def test_the_astronaut_is_cropped_around_her_face():
    image = read_image(str(resources.files("dagan") / "assets" / "astronaut.png"))
    crop = frame_photo(image, "auto").crop
    assert crop.size == pytest.approx(198, abs=8)
    assert (crop.x + crop.size / 2, crop.y + crop.size / 2) == pytest.approx((223, 120), abs=8)
    again = (apply_crop(image, crop, 256) * 255).round().byte().permute(1, 2, 0).numpy()
    assert frame_photo(again, "auto").crop == Crop(0, 0, 256)


def test_the_whole_picture_at_its_size_is_unchanged():
    frame = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    result = apply_crop(frame, Crop(0, 0, 32), 32)
    assert result.dtype == torch.float32
    assert torch.equal((result * 255).round().byte(), torch.from_numpy(frame).permute(2, 0, 1))


def test_beyond_the_picture_the_edges_are_repeated():
    frame = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    result = (apply_crop(frame, Crop(-1, -1, 4), 4) * 255).round()[0]
    assert result.tolist() == [[0, 0, 3, 3], [0, 0, 3, 3], [6, 6, 9, 9], [6, 6, 9, 9]]


def test_shrinking_averages_instead_of_skipping():
    checkers = np.indices((256, 256)).sum(0) % 2 * 255
    frame = np.repeat(checkers[..., None], 3, -1).astype(np.uint8)
    result = apply_crop(frame, Crop(0, 0, 256), 32)
    assert (result - 0.5).abs().max() < 0.05
