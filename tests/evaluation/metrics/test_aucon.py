import numpy as np
import pytest

from dagan.evaluation.metrics.aucon import aucon

THRESHOLDS = np.array([0.5, 0.5, 0.1, 0.1])


def test_it_counts_units_present_in_both_or_in_neither():
    generated, driving = np.array([0.9, 0.4, 0.2, 0.0]), np.array([0.6, 0.6, 0.05, 0.09])
    assert aucon(generated, driving, THRESHOLDS) == pytest.approx(2 / 4)  # first and last agree


def test_strength_beyond_the_threshold_does_not_count():
    assert aucon(np.array([0.51, 0, 0, 0]), np.array([1.0, 0, 0, 0]), THRESHOLDS) == 1


def test_every_unit_has_its_own_threshold():
    assert aucon(np.full(4, 0.3), np.zeros(4), THRESHOLDS) == pytest.approx(0.5)
