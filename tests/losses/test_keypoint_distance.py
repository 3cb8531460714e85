"""L_D: Eq. 13 with a gradient, and as printed."""

import math

import pytest
import torch

import references
from dagan.losses.keypoint_distance import THRESHOLD, crowding, keypoint_distance, released_crowding
from parts import random_keypoints


def test_the_hinge_equals_its_definition_written_as_loops() -> None:
    position = random_keypoints(1, 8).position * 0.3
    expected = references.pair_values(position[0].double().numpy(), lambda d: max(0.0, 1 - d / 0.2))
    assert 0 < expected < 1
    assert keypoint_distance(position).item() == pytest.approx(expected, rel=1e-5)


def test_points_that_keep_their_distance_have_no_loss() -> None:
    corners = torch.tensor([[(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5), (0.0, 0.0)]])
    assert keypoint_distance(corners) == crowding(corners) == 0


def test_points_on_one_spot_have_the_whole_loss() -> None:
    assert keypoint_distance(torch.zeros(2, 5, 2)).item() == 1
    assert crowding(torch.zeros(2, 5, 2)).item() == 2


def test_nearer_pairs_cost_more() -> None:
    losses = [keypoint_distance(torch.tensor([[(0.0, 0.0), (d, 0.0)]])).item() for d in (0.3, 0.15, 0.05)]
    assert losses == pytest.approx([0, 0.25, 0.75])


def test_the_gradient_pushes_crowded_pairs_apart_and_leaves_others_alone() -> None:
    position = torch.tensor([[(0.0, 0.0), (0.1, 0.05), (0.8, 0.8)]], requires_grad=True)
    keypoint_distance(position).backward()
    assert position.grad is not None
    first, second, far = -position.grad[0]  # the way they are pushed
    assert first.max() < 0 < second.min()
    assert far.abs().max() == 0


def test_eq_13_as_printed_has_no_gradient_which_is_why_it_is_not_trained_with() -> None:
    position = (0.1 * torch.rand(1, 5, 2)).requires_grad_()
    assert crowding(position) > 0
    crowding(position).backward()
    assert position.grad is not None
    assert position.grad.abs().max() == 0


def test_the_released_count_measures_straight_and_divides_by_all_pairs() -> None:
    diagonal = torch.tensor([[(0.0, 0.0), (0.12, 0.12)]])  # nearer than 0.2 as the crow flies, not along the axes
    assert math.hypot(0.12, 0.12) < THRESHOLD < 0.24
    assert crowding(diagonal) == 0
    assert released_crowding(diagonal).item() == pytest.approx(2 * 2 / 4)
