"""P_e (Eq. 5), minimum reprojection, auto-mask, smoothness and scale consistency."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dagan.geometry.camera import reproject, rotation_from_axis_angle
from dagan.losses.photometric import (
    minimum_reprojection,
    photometric_error,
    scale_consistency,
    smoothness,
    ssim_map,
)
from dagan.types import CameraPose

NONE = torch.zeros(0, 1, 3, 4, 4)


def ssim_by_loops(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Wang et al. 2004 with 3x3 windows, one pixel at a time."""
    result = np.zeros_like(x)
    x_padded, y_padded = np.pad(x, 1, mode="reflect"), np.pad(y, 1, mode="reflect")
    for row in range(x.shape[0]):
        for column in range(x.shape[1]):
            a, b = (padded[row : row + 3, column : column + 3].ravel() for padded in (x_padded, y_padded))
            covariance = ((a - a.mean()) * (b - b.mean())).mean()
            luminance = (2 * a.mean() * b.mean() + 1e-4) / (a.mean() ** 2 + b.mean() ** 2 + 1e-4)
            result[row, column] = luminance * (2 * covariance + 9e-4) / (a.var() + b.var() + 9e-4)
    return result


def test_ssim_equals_the_definition_written_as_loops() -> None:
    x, y = torch.rand(2, 3, 6, 7, dtype=torch.float64), torch.rand(2, 3, 6, 7, dtype=torch.float64)
    expected = np.stack(
        [[ssim_by_loops(a, b) for a, b in zip(*pair, strict=True)] for pair in zip(x.numpy(), y.numpy(), strict=False)]
    )
    assert np.allclose(ssim_map(x, y), expected)


def test_ssim_of_several_reconstructions_is_that_of_each() -> None:
    several, frame = torch.rand(2, 1, 3, 5, 5), torch.rand(1, 3, 5, 5)
    assert torch.allclose(ssim_map(several, frame)[1], ssim_map(several[1], frame), atol=1e-6)


def test_equal_images_have_no_error() -> None:
    image = torch.rand(2, 3, 8, 8)
    assert photometric_error(image, image).abs().max() < 1e-5


def test_a_constant_offset_on_flat_grey_has_the_error_written_out_by_hand() -> None:
    frame, lighter = (torch.full((1, 3, 4, 4), value, dtype=torch.float64) for value in (0.4, 0.6))
    ssim = (2 * 0.4 * 0.6 + 1e-4) / (0.4**2 + 0.6**2 + 1e-4)
    expected = 0.8 * (1 - ssim) + 0.2 * 0.2
    assert torch.allclose(photometric_error(lighter, frame), torch.full((1, 1, 4, 4), expected, dtype=torch.float64))


def test_a_worse_reconstruction_has_a_larger_error() -> None:
    frame, noise = torch.rand(1, 3, 16, 16), torch.randn(1, 3, 16, 16)
    errors = [photometric_error(frame + amount * noise, frame).mean() for amount in (0.01, 0.05, 0.2)]
    assert errors[0] < errors[1] < errors[2]


def test_each_pixel_takes_the_neighbour_that_explains_it_best_and_sees() -> None:
    frame = torch.rand(1, 3, 4, 4)
    good_left, good_right = frame.clone(), frame.clone()
    good_left[..., 2:], good_right[..., :2] = 1 - frame[..., 2:], 1 - frame[..., :2]
    both = torch.stack([good_left, good_right])
    seen = torch.ones(2, 1, 1, 4, 4)
    error = minimum_reprojection(both, seen, NONE, frame).error
    assert error[..., 0].max() < 1e-5
    assert error[..., 3].max() < 1e-5
    seen[0, ..., 0] = 0  # now only the bad one shows the first column
    error = minimum_reprojection(both, seen, NONE, frame).error
    assert torch.allclose(error[..., 0], photometric_error(good_right, frame)[..., 0])


def test_a_pixel_seen_nowhere_has_no_error() -> None:
    frame = torch.rand(1, 3, 4, 4)
    result = minimum_reprojection(1 - frame[None], torch.zeros(1, 1, 1, 4, 4), NONE, frame)
    assert result.error.abs().max() == 0
    assert result.moving.max() == 0


def test_pixels_that_do_not_move_are_masked_and_give_no_gradient() -> None:
    frame = torch.rand(1, 3, 8, 8)
    neighbour = frame.clone()
    neighbour[..., 4:] = torch.rand(1, 3, 8, 4)  # the right half changes, the left does not
    warped = (frame + 0.02 * torch.randn(1, 3, 8, 8)).requires_grad_()
    result = minimum_reprojection(warped[None], torch.ones(1, 1, 1, 8, 8), neighbour[None], frame)
    result.error.sum().backward()
    assert result.moving[..., :3].max() == 0
    assert result.moving[..., 5:].min() == 1
    assert warped.grad is not None
    assert warped.grad[..., :2].abs().max() == 0
    assert warped.grad[..., 5:].abs().min() > 0


def test_zero_motion_counts_as_static_everywhere() -> None:
    frame, neighbour = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    result = minimum_reprojection(neighbour[None], torch.ones(1, 1, 1, 8, 8), neighbour[None], frame)
    assert result.moving.max() == 0


def test_smoothness_is_zero_for_a_flat_map_free_of_scale_and_forgiving_at_edges() -> None:
    step = torch.ones(1, 1, 8, 8)
    step[..., 4:] = 2
    flat_image, edge_image = torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)
    edge_image[..., 4:] = 1
    assert smoothness(torch.ones(1, 1, 8, 8), flat_image) == 0
    assert torch.allclose(smoothness(step, flat_image), smoothness(5 * step, flat_image))
    assert torch.allclose(smoothness(step, edge_image), smoothness(step, flat_image) * np.exp(-1))


def test_scale_consistency_is_zero_for_equal_depths_and_ignores_what_is_not_weighted() -> None:
    depth: Tensor = torch.rand(1, 1, 4, 4) + 0.5
    other, weight = depth.clone(), torch.ones_like(depth)
    other[..., 0], weight[..., 0] = 9, 0
    assert scale_consistency(depth, other, weight) == 0
    assert torch.allclose(scale_consistency(depth, 3 * depth, torch.ones_like(depth)), torch.tensor(0.5))


def test_scale_consistency_pulls_the_depth_towards_the_other() -> None:
    depth = torch.full((1, 1, 2, 2), 1.0, requires_grad=True)
    scale_consistency(depth, torch.full((1, 1, 2, 2), 2.0), torch.ones(1, 1, 2, 2)).backward()
    assert depth.grad is not None
    assert (depth.grad < 0).all()


def test_everything_from_depth_and_pose_to_the_error_has_exact_gradients() -> None:
    """Eqs. 3 to 5, smoothness and scale consistency as one function, in float64."""
    torch.manual_seed(1)
    y, x = torch.meshgrid(torch.arange(6.0), torch.arange(6.0), indexing="ij")
    waves = torch.stack([torch.sin(0.7 * x + 0.5 * y + phase) for phase in (0.0, 1.0, 2.0)])
    frame, neighbour = (0.5 + 0.3 * waves.double())[None], (0.5 + 0.3 * waves.roll(1, 2).double())[None]
    other = 1 + 0.1 * torch.rand(1, 1, 6, 6, dtype=torch.float64)
    counted = torch.ones(1, 1, 6, 6, dtype=torch.float64)

    def loss(depth: Tensor, turn: Tensor, shift: Tensor, camera: Tensor) -> Tensor:
        at = reproject(depth, CameraPose(rotation_from_axis_angle(turn), shift, camera))
        carried = functional.grid_sample(neighbour, at.grid, padding_mode="border", align_corners=False)
        error = photometric_error(carried, frame).mean()
        return error + 0.1 * smoothness(1 / depth, frame) + 0.1 * scale_consistency(at.depth, other, counted)

    depth = (0.8 + 0.2 * torch.rand(1, 1, 6, 6, dtype=torch.float64)).requires_grad_()
    turn = torch.tensor([[0.03, -0.05, 0.02]], dtype=torch.float64, requires_grad=True)
    shift = torch.tensor([[0.013, 0.007, -0.011]], dtype=torch.float64, requires_grad=True)
    camera = torch.tensor([[[12.3, 0, 3.1], [0, 11.7, 2.9], [0, 0, 1]]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(loss, (depth, turn, shift, camera))
