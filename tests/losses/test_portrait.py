"""The assumptions stage 1 makes of talking heads."""

import torch
from torch import Tensor

from dagan.losses.photometric import UNUSABLE, MinimumError
from dagan.losses.portrait import (
    background_error,
    bump_distance,
    camera_offset,
    gauge,
    head_disparity,
    movement,
    portrait_bump,
)


def half_moving() -> MinimumError:
    """The left half moves and the motion explains it; the right half stands still and moving it would be wrong."""
    unmoved, reprojected = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    unmoved[..., :4] = 1.0
    reprojected[..., 4:] = 1.0
    return MinimumError(torch.minimum(unmoved, reprojected), unmoved, reprojected, unmoved)


def disparity_of(head: float, background: float) -> Tensor:
    disparity = torch.full((1, 1, 8, 8), head)
    disparity[..., 4:] = background
    return disparity.requires_grad_()


def test_the_bump_is_nearest_just_above_the_middle_and_symmetric() -> None:
    bump = portrait_bump(torch.zeros(1, 1, 64, 64))
    assert torch.allclose(bump, bump.flip(1), atol=1e-6)
    assert bump.argmax() // 64 in (29, 30, 31)
    assert 0.2 < bump.min() < 0.25 < 0.6 < bump.max() < 0.66
    assert bump_distance(bump[None, None]) == 0


def test_the_prior_turns_an_inverted_face_round() -> None:
    inverted = (0.85 - portrait_bump(torch.zeros(1, 1, 64, 64)))[None, None].requires_grad_()
    bump_distance(inverted).backward()
    assert inverted.grad is not None
    assert inverted.grad[0, 0, 30, 32] < 0 < inverted.grad[0, 0, 0, 0]


def test_movement_tells_noise_from_motion() -> None:
    unmoved = torch.tensor([0.0, 0.03, 0.15, 0.5]).view(1, 1, 1, 4)
    result = movement(MinimumError(unmoved, unmoved, unmoved, unmoved)).flatten()
    assert result[0] == 0
    assert result[1] < 0.05
    assert result[2] == 0.5
    assert result[3] > 0.9


def test_the_heads_disparity_is_that_of_what_moves() -> None:
    assert torch.allclose(head_disparity(disparity_of(0.7, 0.1), half_moving()), torch.tensor([0.7]), atol=2e-3)


def test_the_gauge_pulls_the_head_to_its_place_and_hardly_touches_the_background() -> None:
    disparity = disparity_of(0.7, 0.1)
    gauge(disparity, half_moving()).backward()
    assert disparity.grad is not None
    assert (disparity.grad[..., :4] > 0).all()
    assert disparity.grad[..., 4:].abs().max() < 0.01 * disparity.grad[..., :4].abs().min()


def test_still_background_beside_a_moving_head_is_pushed_behind_it_and_the_head_is_left_alone() -> None:
    disparity = disparity_of(0.6, 0.6)
    background_error(disparity, half_moving()).backward()
    assert disparity.grad is not None
    assert (disparity.grad[..., 4:] > 0).all()
    assert disparity.grad[..., :4].abs().max() == 0


def test_background_that_is_far_enough_is_left_alone() -> None:
    assert background_error(disparity_of(0.6, 0.3), half_moving()) == 0


def test_a_pixel_that_would_leave_the_view_says_nothing_about_the_background() -> None:
    minimum = half_moving()
    minimum.reprojected[..., 4:] = UNUSABLE
    assert background_error(disparity_of(0.6, 0.6), minimum) == 0


def test_the_portrait_camera_has_no_offset_and_others_are_drawn_to_it_from_both_sides() -> None:
    def camera(focal: float, centre: float) -> Tensor:
        return torch.tensor([[[focal, 0, centre], [0, focal, 32.0], [0, 0, 1]]], requires_grad=True)

    assert camera_offset(camera(128, 32), (64, 64), 2.0) == 0
    for focal, centre in ((200.0, 40.0), (90.0, 20.0)):
        matrix = camera(focal, centre)
        camera_offset(matrix, (64, 64), 2.0).backward()
        assert matrix.grad is not None
        assert matrix.grad[0, 0, 0] * (focal - 128) > 0
        assert matrix.grad[0, 0, 2] * (centre - 32) > 0
