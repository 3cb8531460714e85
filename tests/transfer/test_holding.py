from itertools import pairwise

import pytest
import torch

from dagan.transfer.holding import Holding, ease_frames, held_motion
from dagan.types import Keypoints

REST = Keypoints(torch.full((1, 3, 2), -1.0), landmarks=torch.zeros(1, 17, 2), expression=torch.zeros(1, 15))


def _motion(count):
    """A driver who moves by 1 a frame."""
    at = torch.arange(1.0, count + 1)[:, None, None]
    return Keypoints(at.expand(count, 3, 2), None, at.expand(count, 17, 2), at[..., 0].expand(count, 15))


def _path(found, ease=3):
    moved = held_motion(_motion(len(found)), [bool(seen) for seen in found], REST, ease)
    assert torch.equal(moved.position[:, 0, 0], moved.position[:, 2, 1])
    return moved.position[:, 0, 0].tolist()


def test_frames_that_all_show_the_face_are_left_alone():
    motion = _motion(5)
    assert held_motion(motion, [True] * 5, REST, 3) is motion


def test_the_last_pose_is_held_and_the_returned_face_eased_in():
    path = _path([1, 1, 0, 0, 1, 1, 1, 1, 1])
    assert path[:4] == [1, 2, 2, 2]
    assert path[7:] == [8, 9]
    steps = [later - earlier for earlier, later in pairwise(path[3:])]
    assert all(step > 0 for step in steps)
    assert path[4] < 3  # not at once


def test_what_is_read_in_frames_without_a_face_reaches_nothing():
    motion = _motion(6)
    broken = motion.each(lambda part: part.index_fill(0, torch.tensor([2]), torch.nan))
    moved = held_motion(broken, [True, True, False, True, True, True], REST, 2)
    assert all(part.isfinite().all() for part in moved.named().values())


def test_before_the_first_face_the_driver_rests():
    path = _path([0, 0, 1, 1, 1, 1, 1])
    assert path[:2] == [-1, -1]
    assert path[2] < 1
    assert path[5:] == [6, 7]


def test_a_face_that_is_lost_again_while_it_eases_in_is_held_where_it_was():
    path = _path([1, 0, 1, 0, 0, 1, 1, 1, 1])
    assert path[2] == path[3] == path[4]
    assert path[-1] == 9


def test_landmarks_and_expression_are_held_too():
    hold = Holding(REST, 3)
    motion = _motion(2)
    first, second = (motion.each(lambda part, n=n: part[n : n + 1]) for n in range(2))
    assert hold(first, True) == first
    given = hold(second, False)
    assert torch.equal(given.landmarks, first.landmarks)
    assert torch.equal(given.expression, first.expression)


@pytest.mark.parametrize(("rate", "frames"), [(1.0, 1), (10.0, 3), (25.0, 8), (60.0, 18)])
def test_easing_takes_a_third_of_a_second(rate, frames):
    assert ease_frames(rate) == frames
