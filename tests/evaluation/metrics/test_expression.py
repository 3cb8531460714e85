import numpy as np
import pytest

from dagan.evaluation.metrics.expression import Change, Correlation, correlation


def changes(driving, generated):
    return [Change(float(a), float(b)) for a, b in zip(driving, generated, strict=True)]


def test_it_equals_numpys_correlation():
    driving = np.random.uniform(-1, 1, 200)
    generated = 0.4 * driving + 0.2 * np.random.uniform(-1, 1, 200) + 0.1
    assert correlation(changes(driving, generated)) == pytest.approx(np.corrcoef(driving, generated)[0, 1], abs=1e-9)


def test_following_at_half_strength_is_full_correlation_and_the_opposite_is_minus_one():
    driving = np.linspace(-0.5, 0.5, 9)
    assert correlation(changes(driving, driving / 2)) == pytest.approx(1)
    assert correlation(changes(driving, -driving)) == pytest.approx(-1)


def test_a_frozen_face_has_no_correlation():
    assert correlation(changes(np.linspace(0, 1, 9), np.zeros(9))) is None


def test_merging_equals_adding_everything_to_one_and_missing_faces_are_counted():
    pairs = [*changes(np.random.rand(10), np.random.rand(10)), None, None]
    whole, parts = Correlation(), [Correlation(), Correlation()]
    for number, pair in enumerate(pairs):
        whole.add(pair)
        parts[number % 2].add(pair)
    merged = parts[0].merge(parts[1])
    assert merged.compute() == pytest.approx(whole.compute())
    assert (merged.count, merged.num_missing) == (10, 2)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_pairs_have_no_correlation(count):
    assert correlation(changes([0.3] * count, [0.2] * count)) is None
