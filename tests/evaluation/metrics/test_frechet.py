import numpy as np
import pytest

from dagan.evaluation.metrics.frechet import GaussianSums, frechet_distance


def test_gaussians_in_one_dimension_have_a_closed_form():
    """(m1 - m2)^2 + (s1 - s2)^2, from standard deviations 3 and 1."""
    found = frechet_distance(np.array([2.0]), np.array([[9.0]]), np.array([-1.0]), np.array([[1.0]]))
    assert found == pytest.approx(9 + 4)


def test_covariances_that_do_not_commute_have_the_trace_of_the_root_of_their_product():
    numbers = np.random.default_rng(0)
    a, b = (m @ m.T for m in numbers.normal(size=(2, 4, 4)))
    roots = np.sqrt(np.linalg.eigvals(a @ b).real)  # the product's eigenvalues are real and positive
    expected = np.trace(a) + np.trace(b) - 2 * roots.sum()
    assert frechet_distance(np.zeros(4), a, np.zeros(4), b) == pytest.approx(expected)


def test_sums_merged_are_the_sums_of_all():
    features = np.random.default_rng(1).normal(size=(20, 3)).astype(np.float32)
    other = GaussianSums.of(np.random.default_rng(2).normal(2, 3, size=(30, 3)))
    merged = GaussianSums.of(features[:7]).merge(GaussianSums.of(features[7:]))
    assert merged.distance(other) == pytest.approx(GaussianSums.of(features).distance(other))
    mean, covariance = features.mean(0), np.cov(features.T)
    second = np.random.default_rng(2).normal(2, 3, size=(30, 3))
    expected = frechet_distance(mean, covariance, second.mean(0), np.cov(second.T))
    assert merged.distance(other) == pytest.approx(expected, rel=1e-5)


def test_a_set_is_at_no_distance_from_itself_and_one_image_is_no_set():
    sums = GaussianSums.of(np.random.default_rng(3).normal(size=(5, 8)))  # fewer images than features
    assert sums.distance(sums) == pytest.approx(0, abs=1e-6)
    assert GaussianSums.of(np.zeros((1, 8))).distance(sums) is None
