import numpy as np
import pytest

from dagan.evaluation.metrics.akd import akd
from dagan.evaluation.metrics.landmark_distance import landmark_distance


def test_it_averages_coordinates_not_distances():
    driving = np.zeros((2, 2))
    generated = np.array([[3.0, -4.0], [0.0, 0.0]])
    assert akd(generated, driving) == pytest.approx((3 + 4 + 0 + 0) / 4)
    assert landmark_distance(generated, driving) == pytest.approx(5 / 2)


def test_it_is_in_pixels_of_256_whatever_the_size():
    generated, driving = np.full((5, 2), 6.0), np.full((5, 2), 4.0)
    assert akd(generated, driving, side=128) == pytest.approx(4)


def test_depth_does_not_count():
    assert akd(np.array([[1.0, 2.0, 50.0]]), np.array([[1.0, 2.0, -50.0]])) == 0
