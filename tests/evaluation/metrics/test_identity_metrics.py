import math

import numpy as np
import pytest

from dagan.evaluation.metrics.aed import aed
from dagan.evaluation.metrics.csim import csim


def at(degrees: float) -> np.ndarray:
    return np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))])


@pytest.mark.parametrize(("degrees", "distance", "cosine"), [(0, 0, 1), (60, 1, 0.5), (90, 2, 0), (180, 4, -1)])
def test_unit_vectors_at_a_known_angle(degrees, distance, cosine):
    assert aed(at(degrees), at(0)) == pytest.approx(distance)
    assert csim(at(degrees), at(0)) == pytest.approx(cosine)


def test_aed_takes_no_root():
    assert aed(np.array([0.6, 0.8]), np.array([1.0, 0.0])) == pytest.approx(0.4**2 + 0.8**2)


def test_csim_does_not_depend_on_length():
    assert csim(3 * at(20), 0.1 * at(50)) == pytest.approx(math.cos(math.radians(30)))
