import numpy as np
import pytest

from dagan.evaluation.metrics.landmark_distance import landmark_distance


def test_it_is_the_mean_of_euclidean_distances():
    driving = np.zeros((2, 2), np.float32)
    generated = np.array([[3, 4], [0, -1]], np.float32)  # 5 and 1 away
    assert landmark_distance(generated, driving) == pytest.approx(3)


def test_the_guessed_depth_does_not_count():
    driving = np.random.rand(478, 3).astype(np.float32)
    generated = driving + np.array([0, 0, 9], np.float32)
    assert landmark_distance(generated, driving) == 0


def test_it_is_larger_than_the_published_akd_of_the_same_landmarks():
    driving, generated = np.random.rand(2, 68, 2)
    assert landmark_distance(generated, driving) > np.abs(generated - driving).mean()
