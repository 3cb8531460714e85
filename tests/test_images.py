"""Bytes and tensors, maps and motion as pictures, pages of pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dagan.images import (
    FLOW_FULL_SCALE,
    PALETTE,
    colour_map,
    compose,
    draw_displacement,
    save_page,
    to_pixels,
    to_tensor,
    with_points,
)


def test_bytes_survive_the_way_to_tensors_and_back() -> None:
    pixels = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    assert np.array_equal(to_pixels(to_tensor(pixels)), pixels)


def test_values_outside_of_the_range_are_cut_off() -> None:
    image = torch.tensor([-1.0, 0.5, 2.0]).view(1, 3, 1, 1)
    assert to_pixels(image)[0, 0].tolist() == [0, 128, 255]


def test_colours_run_from_the_palettes_first_to_its_last() -> None:
    ramp = torch.linspace(3, 7, 5).view(1, 1, 1, 5)
    assert torch.allclose(colour_map(ramp)[0, :, 0].T, torch.tensor(PALETTE), atol=1e-5)


def test_a_flat_map_has_one_colour() -> None:
    assert torch.allclose(
        colour_map(torch.ones(1, 1, 4, 4)), torch.tensor(PALETTE[0]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    )


def test_no_motion_is_grey_and_directions_differ() -> None:
    still = torch.zeros(1, 4, 4, 2)
    assert torch.allclose(draw_displacement(still), torch.tensor(0.5), atol=1e-6)
    right, down = (draw_displacement(still + FLOW_FULL_SCALE * torch.tensor(way)) for way in ([1.0, 0.0], [0.0, 1.0]))
    assert torch.allclose(right[0, :, 0, 0], torch.tensor([1, 0.5, 0.25]))
    assert torch.allclose(down[0, :, 0, 0], torch.tensor([0.5, 1, 0.25]))


def test_points_are_drawn_where_they_are() -> None:
    drawn = np.asarray(with_points(torch.zeros(3, 100, 100), torch.tensor([[-0.5, 0.5]]), 100)).sum(-1)
    rows, columns = np.nonzero(drawn > 100)
    assert rows.mean() == pytest.approx(74.5, abs=1)
    assert columns.mean() == pytest.approx(24.5, abs=1)


def test_a_page_has_a_row_per_image_and_a_column_per_picture_of_any_size(tmp_path: Path) -> None:
    red = torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1)
    row = [red.expand(3, 8, 8), torch.zeros(3, 64, 64), 2 + red.expand(3, 5, 5)]
    save_page(compose([row, row], ["red", "black", ""], side=160), tmp_path / "page.png")
    page = np.asarray(Image.open(tmp_path / "page.png"))
    assert page.shape[1] == 3 * 160 + 2 * 3
    assert [path.name for path in tmp_path.iterdir()] == ["page.png"]
    assert page[5, 5].tolist() == [255, 0, 0]
    assert page[240, 240].tolist() == [0, 0, 0]
    assert page[240, 400].tolist() == [255, 255, 255]
    assert (page[2 * 163 :] < 128).any()  # titles
