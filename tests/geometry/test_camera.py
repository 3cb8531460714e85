"""Camera geometry: Eqs. 3 and 4."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from dagan.geometry.camera import (
    back_project,
    pixel_centres,
    project,
    reproject,
    rotation_from_axis_angle,
    scale_intrinsics,
)
from dagan.types import CameraPose


def camera(width: int = 8, height: int = 6, focal: float = 15.0) -> Tensor:
    return torch.tensor([[[focal, 0.0, width / 2 + 0.3], [0.0, focal + 1, height / 2 - 0.2], [0.0, 0.0, 1.0]]]).double()


def pose(axis_angle: list[float], translation: list[float], intrinsics: Tensor) -> CameraPose:
    rotation = rotation_from_axis_angle(torch.tensor([axis_angle], dtype=intrinsics.dtype))
    return CameraPose(rotation, torch.tensor([translation], dtype=intrinsics.dtype), intrinsics)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-3, 0.0099, 0.0101, 0.5, 3.0, 7.0])
def test_rotation_is_the_matrix_exponential_of_the_cross_product(angle: float) -> None:
    vector = functional.normalize(torch.tensor([[0.3, -0.8, 0.5]], dtype=torch.float64)) * angle
    x, y, z = vector[0].tolist()
    cross = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    assert torch.allclose(rotation_from_axis_angle(vector)[0], torch.linalg.matrix_exp(cross), atol=1e-12)


def test_a_quarter_turn_about_z_takes_x_to_y() -> None:
    rotation = rotation_from_axis_angle(torch.tensor([[0.0, 0.0, torch.pi / 2]]))[0]
    assert torch.allclose(rotation @ torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0]), atol=1e-6)


@pytest.mark.parametrize("angle", [0.0, 1e-4, 0.01, 1.2])
def test_rotation_has_exact_gradients_also_at_zero(angle: float) -> None:
    vector = (torch.tensor([[0.6, -0.48, 0.64]], dtype=torch.float64) * angle).requires_grad_()
    assert torch.autograd.gradcheck(rotation_from_axis_angle, (vector,))


def test_projecting_back_projected_pixels_returns_the_pixel_centres() -> None:
    depth = torch.rand(1, 1, 6, 8, dtype=torch.float64) + 0.5
    points = back_project(depth, torch.linalg.inv(camera()))
    assert torch.allclose(points[:, 2:], depth)
    assert torch.allclose(project(points, camera())[0], pixel_centres(6, 8, depth))


def test_no_motion_reprojects_every_pixel_onto_itself_and_sampling_returns_the_image() -> None:
    image = torch.rand(1, 3, 6, 8, dtype=torch.float64)
    depth = torch.rand(1, 1, 6, 8, dtype=torch.float64) + 0.5
    result = reproject(depth, pose([0, 0, 0], [0, 0, 0], camera()))
    assert torch.allclose(functional.grid_sample(image, result.grid, align_corners=False), image, atol=1e-10)
    assert result.valid.all()
    assert torch.allclose(result.depth, depth)


def test_a_sideways_step_moves_pixels_by_focal_times_step_over_depth() -> None:
    depth = torch.full((1, 1, 6, 8), 2.0, dtype=torch.float64)
    result = reproject(depth, pose([0, 0, 0], [0.2, 0, 0], camera()))
    moved_pixels = (result.grid[0, ..., 0] + 1) * 4 - pixel_centres(6, 8, depth)[..., 0]
    assert torch.allclose(moved_pixels, torch.full((6, 8), 15.0 * 0.2 / 2.0, dtype=torch.float64))


def test_points_outside_the_frame_or_behind_the_camera_are_not_valid() -> None:
    depth = torch.full((1, 1, 6, 8), 2.0, dtype=torch.float64)
    sideways = reproject(depth, pose([0, 0, 0], [0.4, 0, 0], camera()))  # 3 pixels to the right
    assert sideways.valid[0, 0, :, :5].all()
    assert not sideways.valid[0, 0, :, 5:].any()
    behind = reproject(depth, pose([0, 0, 0], [0, 0, -3.0], camera()))
    assert not behind.valid.any()
    assert behind.grid.isfinite().all()


def test_the_same_camera_at_half_size_sees_the_same_rays() -> None:
    full = project(torch.tensor([0.1, -0.2, 1.5], dtype=torch.float64).view(1, 3, 1, 1), camera())
    half = project(
        torch.tensor([0.1, -0.2, 1.5], dtype=torch.float64).view(1, 3, 1, 1), scale_intrinsics(camera(), 0.5)
    )
    assert torch.allclose(half, full / 2)


def test_reprojection_has_exact_gradients_to_depth_pose_and_intrinsics() -> None:
    depth = (torch.rand(1, 1, 3, 4, dtype=torch.float64) + 0.5).requires_grad_()
    axis_angle = torch.tensor([[0.02, -0.05, 0.03]], dtype=torch.float64, requires_grad=True)
    translation = torch.tensor([[0.05, 0.02, -0.04]], dtype=torch.float64, requires_grad=True)
    intrinsics = camera(4, 3, 6.0).requires_grad_()

    def grid(depth: Tensor, axis_angle: Tensor, translation: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor]:
        result = reproject(depth, CameraPose(rotation_from_axis_angle(axis_angle), translation, intrinsics))
        return result.grid, result.depth

    assert torch.autograd.gradcheck(grid, (depth, axis_angle, translation, intrinsics))
