"""Correlations of changes with their intervals, by one observer or by two."""

import numpy as np
import pytest
from samples import sample, scores

from dagan.evaluation.followed import correlated, drawn_correlations, followed_heads, followed_in, followed_rows
from dagan.evaluation.metrics.accumulators import Change
from dagan.evaluation.records import ShapeFollowing

PEOPLE = "abcdefgh"


def noisy(strength, per_person=4, seed=0):
    numbers = np.random.default_rng(seed)
    rows = [(p, *numbers.normal(size=2)) for p in PEOPLE for _ in range(per_person)]
    return [(p, Change(float(x), float(x + strength * y))) for p, x, y in rows]


def test_a_correlation_is_pearsons_and_its_interval_holds_it():
    changes = noisy(1.0)
    found = correlated(changes)
    expected = np.corrcoef(*np.array([change for _, change in changes]).T)[0, 1]
    assert found.value == pytest.approx(expected)
    assert found.interval.low < expected < found.interval.high
    assert found.num_pairs == 32


def test_fewer_people_give_a_wider_interval_than_more():
    few, many = (correlated(noisy(1.0, count)).interval for count in (2, 40))
    assert few.high - few.low > 2 * (many.high - many.low)


def test_a_drawn_correlation_is_that_of_the_drawn_people():
    """Each person's pairs come together: with one pair a person, a bootstrap by hand gives the same numbers."""
    changes = noisy(0.5, 1)
    (found,) = drawn_correlations([changes])
    drawn = np.random.default_rng(0).multinomial(8, np.full(8, 1 / 8), 2000)
    x, y = np.array([change for _, change in changes]).T
    for place in (0, 17, 1999):
        repeated = np.repeat(np.arange(8), drawn[place])
        assert found[place] == pytest.approx(np.corrcoef(x[repeated], y[repeated])[0, 1])


def test_pairs_without_a_face_are_counted_and_what_never_changes_has_no_correlation():
    found = correlated([("a", None), ("b", Change(1.0, 1.0)), ("c", Change(1.0, 2.0))])
    assert (found.value, found.num_pairs, found.num_missing) == (None, 2, 1)


def followed_sample(number, first, second):
    found = sample(scores(), scores(), person=PEOPLE[number % 8], number=number)
    shapes = [ShapeFollowing(*[change] * 5) if change is not None else None for change in (first, second)]
    return found._replace(shape=shapes[0], second_shape=shapes[1])


def test_two_observers_stand_beside_each_other_for_the_same_quantity():
    numbers = np.random.default_rng(1).normal(size=(16, 2))
    pairs = [(Change(float(x), float(x)), Change(float(x + y), float(-x))) for x, y in numbers]
    samples = [followed_sample(n, *pair) for n, pair in enumerate(pairs)]
    samples.append(followed_sample(16, pairs[0][0], None))
    rows = {row.name: row for row in followed_in(samples)}
    lips = rows["lips apart"]
    assert lips.first.value == pytest.approx(1)
    seen, made = np.array([second for _, second in pairs]).T
    assert lips.second.value == pytest.approx(np.corrcoef(seen, made)[0, 1])
    assert (lips.first.num_pairs, lips.second.num_pairs, lips.second.num_missing) == (17, 16, 1)
    assert lips.agreement == pytest.approx(np.corrcoef(numbers[:, 0], seen)[0, 1])
    table = followed_rows(list(rows.values()))
    assert {len(cells) for cells in table} == {len(followed_heads(list(rows.values())))} == {8}


def test_one_observer_alone_has_no_second_column():
    rows = followed_in([followed_sample(n, Change(n, n), None) for n in range(3)])
    assert rows[-1].second is None
    assert len(followed_heads(rows)) == len(followed_rows(rows)[0]) == 4
