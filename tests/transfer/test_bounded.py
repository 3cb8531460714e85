import pytest
import torch

from dagan.face import MEAN_FACE
from dagan.transfer.bounded import MOST_GROWTH, bounded, face_size
from dagan.types import Keypoints

FACE = torch.tensor(MEAN_FACE)[None, :, :2] * 0.4
REST = Keypoints(FACE, torch.eye(2).expand(1, 17, 2, 2), FACE, torch.zeros(1, 15))


def _grown(*sizes, shift=0.1):
    by = torch.tensor(sizes)[:, None, None]
    points, frames = by * FACE + shift, by[..., None] * torch.eye(2).expand(len(sizes), 17, 2, 2)
    return Keypoints(points, frames, points, torch.zeros(len(sizes), 15))


def test_a_head_of_usual_size_is_left_alone():
    driving = _grown(0.75, 1.0, 1.35)
    assert bounded(driving, REST) is driving


@pytest.mark.parametrize("landmarks", [True, False])
def test_a_head_that_doubles_grows_no_further_than_the_bound_about_its_centre(landmarks):
    rest, driving = (k if landmarks else k._replace(landmarks=None) for k in (REST, _grown(1.0, 2.0, 0.3)))
    moved = bounded(driving, rest)
    growth = face_size(moved) / face_size(rest)
    torch.testing.assert_close(growth, torch.tensor([1.0, MOST_GROWTH, 0.7]), atol=1e-3, rtol=0)
    torch.testing.assert_close(moved.position.mean(1), driving.position.mean(1))
    assert torch.equal(moved.position[0], driving.position[0])
    torch.testing.assert_close(moved.jacobian[1, 0], torch.eye(2) * MOST_GROWTH, atol=1e-3, rtol=0)


def test_the_bounded_scale_has_no_jump_where_the_bound_begins():
    moved = bounded(_grown(*torch.linspace(1.3, 1.5, 21).tolist()), REST)
    steps = face_size(moved).diff()
    assert steps.min() > -1e-4
    assert steps.max() < 0.006
