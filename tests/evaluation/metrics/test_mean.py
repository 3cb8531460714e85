import pytest

from dagan.evaluation.metrics.mean import Mean


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
