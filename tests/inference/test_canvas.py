import numpy as np
import pytest

from dagan.images import Crop
from dagan.inference.canvas import Canvas, shrunk


@pytest.mark.parametrize("crop", [Crop(10, 5, 20), Crop(-4, -6, 20), Crop(30, 20, 24)])
def test_a_square_is_placed_where_it_lies_in_the_photo_and_nothing_else_changes(crop):
    photo = np.random.default_rng(0).integers(0, 200, (40, 50, 3), dtype=np.uint8)
    before = photo.copy()
    square = np.random.default_rng(1).integers(200, 256, (crop.size, crop.size, 3), dtype=np.uint8)
    placed = Canvas(photo, crop, crop.size).place(square)
    assert np.array_equal(photo, before)
    for y in range(40):
        for x in range(50):
            inside = crop.x <= x < crop.x + crop.size and crop.y <= y < crop.y + crop.size
            expected = square[y - crop.y, x - crop.x] if inside else photo[y, x]
            assert np.array_equal(placed[y, x], expected)


def test_without_a_photo_the_square_is_the_picture():
    square = np.zeros((8, 8, 3), np.uint8)
    canvas = Canvas(None, Crop(3, 3, 20), 8)
    assert canvas.place(square) is square
    assert canvas.size_of_pictures == (8, 8)


def test_a_large_photo_shrinks_with_its_crop_and_a_small_one_stays():
    photo = np.zeros((300, 600, 3), np.uint8)
    smaller, crop = shrunk(photo, Crop(100, 50, 200), 300)
    assert smaller.shape == (150, 300, 3)
    assert crop == Crop(50, 25, 100)
    same, crop = shrunk(photo, Crop(1, 2, 3), 600)
    assert same is photo
    assert crop == Crop(1, 2, 3)
