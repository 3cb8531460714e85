import pytest
import torch

from dagan.face import MESH_INDICES, MIRROR
from dagan.losses.landmark_guidance import (
    OPENINGS,
    ZOOM,
    landmark_guidance,
    opening_guidance,
    random_similarities,
    seen_through,
)


def test_points_on_their_landmarks_have_no_loss_wherever_the_others_are() -> None:
    landmarks = torch.rand(2, 3, 2)
    position = torch.cat([landmarks, torch.rand(2, 4, 2)], dim=1)
    assert landmark_guidance(position, landmarks, torch.tensor([True, True])) == 0


def test_points_beside_their_landmarks_cost_the_mean_distance() -> None:
    landmarks = torch.rand(2, 3, 2)
    off = landmarks + torch.tensor([0.1, -0.3])
    assert landmark_guidance(off, landmarks, torch.tensor([True, True])).item() == pytest.approx(0.2)


def test_images_without_a_face_do_not_count() -> None:
    landmarks = torch.zeros(3, 2, 2)
    position = torch.tensor([0.5, 9.0, 0.1]).view(3, 1, 1).expand(3, 2, 2)
    assert landmark_guidance(position, landmarks, torch.tensor([True, False, True])).item() == pytest.approx(0.3)


def test_without_any_face_the_loss_and_its_gradient_are_zero() -> None:
    position = torch.rand(2, 3, 2, requires_grad=True)
    loss = landmark_guidance(position, torch.zeros(2, 3, 2), torch.tensor([False, False]))
    loss.backward()
    assert loss == 0
    assert position.grad is not None
    assert position.grad.abs().max() == 0


def test_the_gradient_moves_guided_points_of_found_faces_only() -> None:
    position = torch.rand(2, 5, 2).requires_grad_()
    landmark_guidance(position, torch.full((2, 3, 2), -2.0), torch.tensor([True, False])).backward()
    assert position.grad is not None
    assert position.grad[0, :3].min() > 0
    assert position.grad[0, 3:].abs().max() == 0
    assert position.grad[1].abs().max() == 0


def test_openings_do_not_care_where_the_face_is_and_count_how_far_apart_its_lids_are() -> None:
    landmarks = torch.rand(2, 17, 2)
    found = torch.tensor([True, False])
    assert opening_guidance(landmarks + 0.3, landmarks, found).item() == pytest.approx(0, abs=1e-6)
    upper_lid = MESH_INDICES.index(159)
    wider = landmarks.clone()
    wider[:, upper_lid, 1] -= 0.08
    assert opening_guidance(wider, landmarks, found).item() == pytest.approx(0.08 / 2 / len(OPENINGS))


def test_openings_are_pairs_of_landmarks_that_a_mirror_keeps_together() -> None:
    named = {frozenset(MESH_INDICES[i] for i in pair) for pair in OPENINGS}
    assert named == {frozenset(MESH_INDICES[MIRROR[i]] for i in pair) for pair in OPENINGS}
    assert frozenset((13, 14)) in named  # inner lips
    assert frozenset((159, 145)) in named  # lids


def test_points_are_found_in_the_moved_frame_where_its_window_looks() -> None:
    window = random_similarities(4, torch.Generator().manual_seed(0), torch.zeros(1))
    points = torch.rand(4, 5, 2) - 0.5
    there = seen_through(window, points)
    assert torch.allclose(there @ window[:, :, :2].mT + window[:, None, :, 2], points, atol=1e-5)


def test_windows_turn_and_zoom_without_shear_and_differ_from_each_other() -> None:
    linear = random_similarities(16, torch.Generator().manual_seed(0), torch.zeros(1))[:, :, :2]
    scale = torch.linalg.det(linear).sqrt()
    assert torch.allclose(linear @ linear.mT, scale[:, None, None] ** 2 * torch.eye(2), atol=1e-5)
    assert scale.min() > 1 / (1 + ZOOM) - 1e-5
    assert scale.max() < 1 + ZOOM + 1e-5
    assert scale.std() > 0.05
