"""Free keypoints that follow the torso, or do not."""

import pytest
import torch
from torch import Tensor

from dagan.losses.torso_guidance import torso_guidance
from dagan.types import Keypoints

MOTION = torch.tensor([[[1.1, 0.05, 0.1], [-0.05, 0.95, -0.04]]])
FACE = torch.zeros(1, 2, 2)


def keypoints(torso: list[list[float]], jacobian: Tensor | None = None) -> Keypoints:
    return Keypoints(torch.cat([FACE, torch.tensor([torso])], 1), jacobian)


def carried(points: Keypoints) -> Keypoints:
    position = points.position @ MOTION[:, :, :2].mT + MOTION[:, None, :, 2]
    jacobian = None if points.jacobian is None else MOTION[:, None, :, :2] @ points.jacobian
    return Keypoints(position, jacobian)


def test_keypoints_that_the_torso_carried_cost_nothing() -> None:
    driving = keypoints([[-0.5, 0.8], [0.0, 0.7], [0.55, 0.85]], torch.eye(2).expand(1, 5, 2, 2))

    assert float(torso_guidance(carried(driving), driving, MOTION, 2)) < 1e-6


def test_keypoints_that_stand_still_while_the_torso_moves_cost_its_motion() -> None:
    driving = keypoints([[-0.5, 0.8], [0.5, 0.8]])

    loss = torso_guidance(driving, driving, MOTION, 2)

    assert torch.allclose(loss, (carried(driving).position - driving.position)[:, 2:].abs().mean())


def test_a_keypoint_in_the_face_is_drawn_down_to_the_torso() -> None:
    position = torch.tensor([[[0.0, 0.0], [0.0, 0.0], [0.0, 0.1]]], requires_grad=True)
    here = Keypoints(position)

    torso_guidance(here, here, torch.eye(2, 3)[None], 2).backward()

    assert position.grad is not None
    assert float(position.grad[0, 2, 1]) < 0  # descending moves it towards larger y: down
    assert not position.grad[0, :2].any()  # the face's keypoints are not its business


def test_local_frames_that_do_not_turn_with_the_torso_cost_something() -> None:
    driving = keypoints([[-0.5, 0.8], [0.5, 0.8]], torch.eye(2).expand(1, 4, 2, 2))
    source = carried(driving)._replace(jacobian=driving.jacobian)

    assert float(torso_guidance(source, driving, MOTION, 2)) > 1e-3


def test_no_free_keypoints_is_said() -> None:
    points = keypoints([[0.0, 0.8]])

    with pytest.raises(ValueError, match="more keypoints than the face's 3"):
        torso_guidance(points, points, MOTION, 3)
