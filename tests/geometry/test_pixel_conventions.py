"""The meanings that coordinates have in published models, and how they differ from ours."""

import numpy as np
import pytest
import torch

from dagan.geometry.grid import coordinate_grid, corner_grid
from dagan.geometry.keypoints import AVERAGES
from dagan.geometry.warp import PIXELS, warp_or_zero

IMAGE = torch.linspace(0.2, 1, 2 * 6 * 5).reshape(1, 2, 6, 5)


def identity(convention: str, height: int = 6, width: int = 5) -> torch.Tensor:
    return PIXELS[convention].grid(height, width, IMAGE)[None]


def sampled_by_loops(image: np.ndarray, flow: np.ndarray, align_corners: bool) -> np.ndarray:
    """Bilinear sampling with zeros outside, written as loops."""
    channels, height, width = image.shape
    result = np.zeros((channels, *flow.shape[:2]))
    for row, column in np.ndindex(*flow.shape[:2]):
        x, y = flow[row, column]
        x, y = ((x + 1) / 2 * (width - 1), (y + 1) / 2 * (height - 1))
        if not align_corners:
            x, y = ((flow[row, column, 0] + 1) * width - 1) / 2, ((flow[row, column, 1] + 1) * height - 1) / 2
        left, top = int(np.floor(x)), int(np.floor(y))
        for j, i in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
            if 0 <= j < height and 0 <= i < width:
                result[:, row, column] += image[:, j, i] * (1 - abs(x - i)) * (1 - abs(y - j))
    return result


def test_the_corner_grid_puts_its_ends_on_the_outermost_pixels():
    grid = corner_grid(3, 5, torch.zeros(()))
    torch.testing.assert_close(grid[0, :, 0], torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0]))
    torch.testing.assert_close(grid[:, 0, 1], torch.tensor([-1.0, 0.0, 1.0]))
    assert torch.equal(corner_grid(1, 1, torch.zeros(())), -torch.ones(1, 1, 2))


@pytest.mark.parametrize("align_corners", [True, False])
def test_sampling_equals_the_definition_written_as_loops(align_corners):
    flow = torch.rand(1, 4, 7, 2) * 3 - 1.5
    flow = torch.cat([flow, flow, flow], dim=1)[:, :6, :5]
    ours = warp_or_zero(IMAGE, flow, align_corners)
    wanted = sampled_by_loops(IMAGE[0].numpy(), flow[0].numpy(), align_corners)
    np.testing.assert_allclose(ours[0].numpy(), wanted, atol=1e-5)


@pytest.mark.parametrize("convention", ["centres", "corners"])
def test_identity_motion_returns_the_image_where_grids_and_sampling_agree(convention):
    torch.testing.assert_close(PIXELS[convention].warp(IMAGE, identity(convention)), IMAGE)


def test_identity_motion_shrinks_the_image_by_a_hair_in_released_dagan():
    ramp = coordinate_grid(64, 64, IMAGE)[None, ..., 0][None]
    moved = PIXELS["mixed"].warp(ramp, identity("mixed", 64, 64))
    inner = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    torch.testing.assert_close(moved[inner], ramp[inner] * 64 / 63)  # content nearer to the middle than it was
    assert moved[0, 0, 0, 0].abs() < 0.3 * ramp[0, 0, 0, 0].abs()  # and black seeps in at the border


def test_outside_is_black_in_published_models_and_the_border_in_ours():
    far = torch.full((1, 6, 5, 2), 3.0)
    assert not PIXELS["mixed"].warp(IMAGE, far).any()
    assert not PIXELS["corners"].warp(IMAGE, far).any()
    assert torch.equal(PIXELS["centres"].warp(IMAGE, far)[0, :, 0, 0], IMAGE[0, :, -1, -1])


def test_a_smaller_flow_is_resized_as_positions_in_published_models():
    flow = identity("mixed", 3, 5)
    moved = PIXELS["mixed"].warp(IMAGE, flow)
    rows = torch.nn.functional.interpolate(flow.permute(0, 3, 1, 2), (6, 5), mode="bilinear", align_corners=False)
    torch.testing.assert_close(moved, PIXELS["mixed"].warp(IMAGE, rows.permute(0, 2, 3, 1)))
    assert rows[0, 1, 0, 0] == -1  # repeated at the border, where ours goes on linearly


def test_the_order_of_summation_changes_nothing_but_the_last_digits():
    heatmap = torch.softmax(torch.randn(2, 3, 58 * 58), -1).reshape(2, 3, 58, 58)
    maps = torch.randn(2, 3, 4, 58, 58)
    ours, released = AVERAGES["product"], AVERAGES["in_order"]
    for grid in (coordinate_grid, corner_grid):
        torch.testing.assert_close(ours.position(heatmap, grid), released.position(heatmap, grid), atol=2e-6, rtol=0)
    torch.testing.assert_close(ours.maps(maps, heatmap), released.maps(maps, heatmap), atol=2e-6, rtol=0)
