"""Heatmaps to keypoints and back, hull areas, and the transfer of motion from one person to another."""

import math

import numpy as np
import pytest
import torch

import references
from dagan.geometry.keypoints import gaussians, position_from_heatmap
from dagan.transfer.relative import hull_area, offset_transfer, transfer
from dagan.types import Keypoints
from parts import random_keypoints

SQUARE = ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))


def test_positions_are_expectations_written_as_loops() -> None:
    heatmap = torch.rand(2, 3, 4, 6, dtype=torch.float64)
    heatmap /= heatmap.sum((2, 3), keepdim=True)
    expected = np.stack([references.expectation(maps) for maps in heatmap.numpy()])
    assert np.allclose(position_from_heatmap(heatmap).numpy(), expected, atol=1e-7)


def test_a_heatmap_of_one_pixel_gives_that_pixels_centre() -> None:
    heatmap = torch.zeros(1, 1, 4, 8)
    heatmap[0, 0, 3, 1] = 1
    assert torch.allclose(position_from_heatmap(heatmap), torch.tensor([2 * 1.5 / 8 - 1, 2 * 3.5 / 4 - 1]))


def test_gaussians_equal_their_definition_written_as_loops() -> None:
    position = torch.rand(2, 3, 2, dtype=torch.float64) * 2 - 1
    expected = np.stack([references.gaussians(points, 5, 7, 0.02) for points in position.numpy()])
    assert np.allclose(gaussians(position, (5, 7), 0.02).numpy(), expected, atol=1e-6)


def test_the_mean_of_a_gaussian_is_its_keypoint() -> None:
    position = torch.tensor([[[0.1, -0.25], [-0.3, 0.2]]])
    maps = gaussians(position, (64, 64), 0.01)
    assert torch.allclose(position_from_heatmap(maps / maps.sum((2, 3), keepdim=True)), position, atol=1e-4)


def test_the_hull_of_a_square_has_its_area_whatever_lies_inside_and_in_any_order() -> None:
    points = torch.tensor([*SQUARE, (0.0, 0.1), (0.2, -0.3), SQUARE[0]])
    for _ in range(5):
        shuffled = points[torch.randperm(len(points))]
        assert hull_area(torch.stack([shuffled, 2 * shuffled])).tolist() == pytest.approx([1.0, 4.0])


def test_the_hull_of_a_hexagon_has_the_area_known_from_school() -> None:
    angles = [math.pi / 3 * corner + 0.2 for corner in range(6)]
    corners = [(0.7 * math.cos(angle), 0.7 * math.sin(angle)) for angle in angles]
    assert hull_area(torch.tensor([corners])).item() == pytest.approx(1.5 * math.sqrt(3) * 0.7**2, rel=1e-5)


def test_points_on_one_line_have_no_area() -> None:
    assert hull_area(torch.tensor([[(0.0, 0.0), (0.25, 0.5), (0.5, 1.0)], [(0.1, 0.1)] * 3])).tolist() == [0, 0]


@pytest.mark.parametrize("adapt_scale", [False, True])
def test_a_driver_at_rest_gives_the_sources_keypoints_exactly(adapt_scale: bool) -> None:
    source, driving = random_keypoints(), random_keypoints()
    assert torch.equal(transfer(source, driving, driving, adapt_scale=adapt_scale).position, source.position)


def test_a_driver_at_rest_leaves_the_sources_frames() -> None:
    source, driving = random_keypoints(with_jacobian=True), random_keypoints(with_jacobian=True)
    still = transfer(source, driving, driving).jacobian
    assert still is not None
    assert torch.allclose(still, source.jacobian, atol=1e-5)


def test_absolute_motion_is_the_drivers_own() -> None:
    source, driving, initial = (random_keypoints(with_jacobian=True) for _ in range(3))
    assert transfer(source, driving, initial, relative=False) is driving


def test_relative_motion_adds_the_drivers_movement_since_the_start() -> None:
    source, initial, movement = random_keypoints(), random_keypoints(), 0.1 * torch.randn(2, 5, 2)
    moved = transfer(source, Keypoints(initial.position + movement), initial)
    assert torch.allclose(moved.position, source.position + movement, atol=1e-6)


@pytest.mark.parametrize("size", [0.5, 1.0, 2.0])
def test_the_movement_of_a_face_of_another_size_is_scaled_to_the_sources(size: float) -> None:
    initial, movement = torch.tensor([SQUARE]) * 0.4, 0.1 * torch.randn(1, 4, 2)
    source, driving = Keypoints(initial * size + 0.05), Keypoints(initial + movement)
    moved = transfer(source, driving, Keypoints(initial), adapt_scale=True)
    assert torch.allclose(moved.position - source.position, size * movement, atol=1e-6)


def test_frames_turn_as_the_driver_turned() -> None:
    quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]]).expand(1, 3, 2, 2)
    source, initial = (random_keypoints(1, 3, with_jacobian=True) for _ in range(2))
    assert initial.jacobian is not None
    assert source.jacobian is not None
    turned = transfer(source, Keypoints(initial.position, quarter @ initial.jacobian), initial).jacobian
    assert turned is not None
    assert torch.allclose(turned, quarter @ source.jacobian, atol=1e-5)


def test_of_a_drivers_frames_the_one_is_nearest_whose_outline_is_alike_wherever_and_however_large() -> None:
    outline = torch.tensor([[[-0.5, -0.5], [0.5, -0.5], [0.6, 0.5], [-0.4, 0.5]]])
    turned = torch.tensor([[[-0.5, -0.5], [0.5, -0.5], [0.2, 0.5], [-0.8, 0.5]]])

    difference = offset_transfer.difference(Keypoints(outline), Keypoints(torch.cat([turned, outline * 0.7 + 0.1])))

    assert difference[1] == pytest.approx(0, abs=1e-6)
    assert difference[0] > 0.05
