import math

import pytest

from dagan.evaluation.metrics.head_pose import head_pose_error


def test_equal_poses_are_zero_apart():
    assert head_pose_error((10.0, -5.0, 3.0), (10.0, -5.0, 3.0)) == 0


def test_it_is_the_root_of_the_mean_square_of_three_angles():
    assert head_pose_error((1.0, 2.0, 3.0), (0.0, 0.0, 1.0)) == pytest.approx(math.sqrt((1 + 4 + 4) / 3))


def test_angles_are_compared_the_short_way_round():
    assert head_pose_error((0.0, 0.0, 179.0), (0.0, 0.0, -179.0)) == pytest.approx(2 / math.sqrt(3))


def test_a_missing_angle_is_an_error():
    with pytest.raises(ValueError, match="argument 2"):
        head_pose_error((1.0, 2.0), (1.0, 2.0, 3.0))
