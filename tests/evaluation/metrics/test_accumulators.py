import numpy as np
import pytest

from dagan.evaluation.metrics.accumulators import Change, Correlation, Mean


def filled(values):
    mean = Mean()
    for value in values:
        mean.add(value)
    return mean


def test_missing_values_are_counted_and_leave_the_mean_alone():
    mean = filled([1.0, None, 3.0, None, None])
    assert (mean.compute(), mean.count, mean.num_missing) == (2.0, 2, 3)


def test_merging_equals_adding_everything_to_one():
    values = [0.5, None, 2.25, 4.0, None, 1.0]
    assert filled(values[:2]).merge(filled(values[2:])) == filled(values)


def test_a_mean_of_nothing_is_none():
    assert filled([None]).compute() is None


@pytest.mark.parametrize("empty", [0, 1])
def test_merging_with_an_empty_one_changes_nothing(empty):
    parts = [filled([1.0, None]), Mean()]
    assert parts[empty].merge(parts[1 - empty]) == filled([1.0, None])


def changes(driving, generated):
    return [Change(float(a), float(b)) for a, b in zip(driving, generated, strict=True)]


def correlation(pairs):
    accumulator = Correlation()
    for change in pairs:
        accumulator.add(change)
    return accumulator.compute()


def test_a_correlation_equals_numpys_correlation():
    driving = np.random.uniform(-1, 1, 200)
    generated = 0.4 * driving + 0.2 * np.random.uniform(-1, 1, 200) + 0.1
    assert correlation(changes(driving, generated)) == pytest.approx(np.corrcoef(driving, generated)[0, 1], abs=1e-9)


def test_following_at_half_strength_is_full_correlation_and_the_opposite_is_minus_one():
    driving = np.linspace(-0.5, 0.5, 9)
    assert correlation(changes(driving, driving / 2)) == pytest.approx(1)
    assert correlation(changes(driving, -driving)) == pytest.approx(-1)


def test_a_frozen_face_has_no_correlation():
    assert correlation(changes(np.linspace(0, 1, 9), np.zeros(9))) is None


def test_merged_correlations_equal_adding_everything_to_one_and_missing_faces_are_counted():
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
