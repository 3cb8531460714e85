"""The ranking loss on landmarks."""

import math

import torch

from dagan.losses.face_order import CLEARLY, SOFTNESS, clearly_nearer, order_error

POSITION = torch.tensor([[[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]]])  # the middles of four quarters
SIZE = math.sqrt(2)
FARTHER = torch.tensor([[0.0, 0.2, 0.4, 0.4 + 0.9 * CLEARLY * SIZE]])


def quarters(*values: float) -> torch.Tensor:
    """A map of four flat quarters, in the order of `POSITION`."""
    return torch.tensor(values).reshape(1, 1, 2, 2).repeat_interleave(8, 2).repeat_interleave(8, 3)


def test_a_map_in_the_right_order_costs_little_a_flat_one_log_two_and_a_reversed_one_much() -> None:
    right, flat, reversed_ = (
        float(order_error(quarters(*values), POSITION, FARTHER))
        for values in ((0.9, 0.6, 0.3, 0.3), (0.5, 0.5, 0.5, 0.5), (0.1, 0.4, 0.7, 0.7))
    )
    assert right < 1e-3
    assert abs(flat - math.log(2)) < 1e-6
    assert reversed_ > 0.3 / SOFTNESS / 2


def test_places_of_about_the_same_depth_are_not_compared() -> None:
    pairs = clearly_nearer(POSITION, FARTHER)[0]
    assert all(pairs[near, far] for near, far in ((0, 1), (0, 3), (1, 2)))
    assert not any(pairs[near, far] for near, far in ((1, 0), (2, 3), (3, 2)))
    swapped = order_error(quarters(0.9, 0.6, 0.2, 0.4), POSITION, FARTHER)
    assert swapped < 2e-3


def test_a_face_without_clear_order_costs_nothing() -> None:
    flat = torch.full((1, 1, 16, 16), 0.5, requires_grad=True)
    error = order_error(flat, POSITION, torch.zeros(1, 4))
    error.backward()
    assert error == 0
    assert flat.grad is not None
    assert flat.grad.abs().max() == 0


def test_its_gradient_brings_the_nearest_place_forward_and_the_farthest_back() -> None:
    disparity = torch.full((1, 1, 16, 16), 0.5, requires_grad=True)
    order_error(disparity, POSITION, FARTHER).backward()
    assert disparity.grad is not None
    nearest, farthest = disparity.grad[0, 0, :8, :8].sum(), disparity.grad[0, 0, 8:, 8:].sum()
    assert nearest < 0 < farthest


def test_the_size_of_the_face_does_not_matter() -> None:
    large = order_error(quarters(0.5, 0.52, 0.48, 0.5), POSITION, FARTHER)
    small = order_error(quarters(0.5, 0.52, 0.48, 0.5), POSITION * 0.9, FARTHER * 0.9)
    assert torch.allclose(large, small)
