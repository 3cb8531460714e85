"""The head as one smooth piece through its landmarks."""

import pytest
import torch
from torch import Tensor

from dagan.face import MEAN_FACE, NUM_LANDMARKS
from dagan.geometry.grid import coordinate_grid
from dagan.transfer.face_flow import face_flow
from parts import identity_flow

GRID = coordinate_grid(64, 64, torch.zeros(()))
FACE = 0.45 * torch.tensor(MEAN_FACE)[None]  # b n 3, as large as in a usual frame
DRIVING = FACE[..., :2]


def turned(degrees: float) -> Tensor:
    """Where the face's landmarks are seen after a turn to the side."""
    angle = torch.deg2rad(torch.tensor(degrees))
    return torch.stack([FACE[..., 0] * angle.cos() + FACE[..., 2] * angle.sin(), FACE[..., 1]], -1)


def at(points: Tensor, source: Tensor, driving: Tensor) -> Tensor:
    """The flow at the given points."""
    return face_flow(source, driving, points.view(1, -1, 2))[:, 0]


def test_equal_landmarks_give_identity_flow() -> None:
    assert torch.equal(face_flow(DRIVING, DRIVING, GRID), identity_flow(1, 64, 64))


def test_an_affine_motion_is_found_as_it_is() -> None:
    turn, shift = torch.tensor([[1.1, -0.3], [0.2, 0.9]]), torch.tensor([0.2, -0.1])
    found = face_flow(DRIVING @ turn.mT + shift, DRIVING, GRID)
    assert torch.allclose(found, (GRID @ turn.mT + shift)[None], atol=2e-3)  # up to the ridge: a twentieth of a pixel


def test_the_flow_passes_near_the_landmarks_nearer_than_the_affine_motion_alone() -> None:
    source = turned(40)
    wanted = source - DRIVING
    around = torch.cat([DRIVING[0], torch.ones(NUM_LANDMARKS, 1)], 1)
    affine = around @ torch.linalg.lstsq(around, source[0]).solution
    left, missed = (found[0] - source[0] for found in (affine[None], at(DRIVING, source, DRIVING)))
    assert missed.square().mean() < 0.5 * left.square().mean()
    assert missed.abs().max() < 0.25 * wanted.abs().max()


def test_far_from_the_face_the_affine_motion_is_left() -> None:
    source, far = turned(40), torch.tensor([[-3.0, 3.0], [3.0, 3.0], [0.0, -3.0]])
    around = torch.cat([DRIVING[0], torch.ones(NUM_LANDMARKS, 1)], 1)
    affine = torch.cat([far, torch.ones(3, 1)], 1) @ torch.linalg.lstsq(around, source[0]).solution
    assert torch.allclose(at(far, source, DRIVING)[0], affine, atol=1e-2)


def test_a_smaller_face_moves_alike() -> None:
    source = turned(30)
    small = face_flow(source / 2, DRIVING / 2, GRID / 2)
    assert torch.allclose(2 * small, face_flow(source, DRIVING, GRID), atol=5e-3)


@pytest.mark.parametrize("degrees", [20.0, 45.0])
def test_a_turned_face_is_not_torn(degrees: float) -> None:
    flow = face_flow(DRIVING, turned(degrees), GRID)[0]
    steps = [flow.diff(dim=axis).norm(dim=-1).max() * 32 for axis in (0, 1)]  # source pixels from a pixel to the next
    assert max(steps) < 3


def test_points_in_one_place_and_points_on_a_line_move_by_what_they_have_in_common() -> None:
    shift = torch.tensor([0.1, -0.2])
    line = torch.stack([torch.linspace(-0.5, 0.5, 17), torch.zeros(17)], -1)[None]
    for driving in (line, torch.zeros(1, 17, 2)):
        points = driving.clone().requires_grad_()
        found = face_flow(driving + shift, points, GRID)
        assert torch.allclose(found, identity_flow(1, 64, 64) + shift, atol=1e-5)
        found.sum().backward()
        assert points.grad is not None
        assert points.grad.isfinite().all()


def test_points_nearly_on_a_line_do_not_blow_up() -> None:
    line = torch.stack([torch.linspace(-0.5, 0.5, 17), torch.zeros(17)], -1)[None]
    found = face_flow(line + 0.02 * torch.randn(1, 17, 2), line + 1e-4 * torch.randn(1, 17, 2), GRID)
    assert (found - GRID).abs().max() < 0.2


def test_gradients_reach_both_sets_of_points() -> None:
    source, driving = turned(20).requires_grad_(), DRIVING.clone().requires_grad_()
    flow = face_flow(source, driving, GRID)
    (flow * torch.randn_like(flow)).sum().backward()
    assert all(p.grad is not None and bool((p.grad.abs().sum(-1) > 0).all()) for p in (source, driving))
