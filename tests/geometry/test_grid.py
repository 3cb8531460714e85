"""Coordinates: pixel centres, half a pixel inside the edges at -1 and +1."""

import numpy as np
import pytest
import torch

import references
from dagan.geometry.grid import coordinate_grid, resize_flow
from parts import identity_flow


@pytest.mark.parametrize(("height", "width"), [(1, 1), (4, 6), (7, 5), (64, 64)])
def test_the_grid_holds_pixel_centres_written_as_loops(height: int, width: int) -> None:
    grid = coordinate_grid(height, width, torch.zeros((), dtype=torch.float64))
    assert np.allclose(grid.numpy(), references.grid(height, width), atol=1e-7)


def test_a_two_pixel_image_has_its_centres_at_minus_and_plus_a_half() -> None:
    assert coordinate_grid(1, 2, torch.zeros(())).tolist() == [[[-0.5, 0.0], [0.5, 0.0]]]


def test_the_grid_takes_its_dtype_from_a_tensor() -> None:
    assert coordinate_grid(2, 2, torch.zeros((), dtype=torch.float16)).dtype == torch.float16


@pytest.mark.parametrize("size", [(8, 8), (13, 32), (64, 5), (1, 1)])
def test_identity_motion_stays_identity_at_any_size(size: tuple[int, int]) -> None:
    assert torch.allclose(resize_flow(identity_flow(2, 8, 16), size), identity_flow(2, *size), atol=1e-6)


def test_a_flow_of_the_right_size_is_not_touched() -> None:
    flow = torch.rand(1, 5, 7, 2)
    assert resize_flow(flow, (5, 7)) is flow


def test_a_common_shift_keeps_its_length_in_image_units() -> None:
    shift = torch.tensor([0.3, -0.1])
    assert torch.allclose(
        resize_flow(identity_flow(1, 4, 4) + shift, (9, 6)), identity_flow(1, 9, 6) + shift, atol=1e-6
    )


def test_between_the_outer_centres_a_linear_flow_stays_linear() -> None:
    turn = torch.tensor([[0.8, 0.3], [-0.2, 1.1]])
    resized = resize_flow(identity_flow(1, 8, 8) @ turn, (32, 32))
    assert torch.allclose(resized[:, 2:-2, 2:-2], (identity_flow(1, 32, 32) @ turn)[:, 2:-2, 2:-2], atol=1e-6)
