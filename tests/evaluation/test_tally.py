import numpy as np
import pytest
from samples import sample, scores

from dagan.evaluation.metrics.accumulators import Mean
from dagan.evaluation.records import BY_FIELD
from dagan.evaluation.tally import bootstrap, tally, worst_value

AKD, CSIM, AUCON = (BY_FIELD[field] for field in ("akd", "csim", "aucon"))


def means(values):
    return [Mean(value, 1) for value in values]


def test_a_lost_face_counts_as_the_worst_value_where_lower_is_better():
    found = tally(
        AKD, [sample(scores(distance=2.0), scores(distance=7.0)), sample(scores(distance=None), scores(distance=5.0))]
    )
    assert found.mean.compute() == 2
    assert found.penalised == pytest.approx((2 + 7) / 2)
    assert found.coverage == 0.5


def test_a_lost_face_counts_as_zero_where_higher_is_better():
    found = tally(AUCON, [sample(scores(aucon=0.8), scores()), sample(scores(), scores(aucon=0.5))])
    assert found.penalised == pytest.approx(0.4)


def test_losing_a_face_is_never_better_than_the_worst_that_was_measured():
    assert worst_value(CSIM, [sample(scores(csim=-0.3), scores(csim=1.0))]) == -0.3


def test_a_system_that_loses_every_face_is_penalised_by_the_worst_unmoved_source():
    found = tally(AKD, [sample(scores(distance=None), scores(distance=float(d)), found=False) for d in (3, 9)])
    assert (found.mean.compute(), found.penalised, found.coverage) == (None, 9, 0)


def test_a_driving_frame_without_a_face_is_nobodys_failure():
    blind = sample(scores(distance=None), scores(distance=None), driving_face=False)
    found = tally(AKD, [sample(scores(distance=2.0), scores()), blind])
    assert (found.num_unusable, found.mean.num_missing, found.coverage, found.penalised) == (1, 0, 1, 2)


def test_the_interval_is_that_of_the_normal_distribution_for_many_pairs():
    values = np.random.default_rng(0).normal(5, 2, 400)
    interval = bootstrap(means(values), num_draws=4000)
    half = 1.96 * values.std() / 20
    assert interval.low == pytest.approx(values.mean() - half, abs=0.04)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.04)


def test_the_interval_is_the_same_every_time_and_holds_the_mean():
    groups = means([1.0, 2.0, 6.0, 7.0])
    assert bootstrap(groups) == bootstrap(groups)
    assert bootstrap(groups).low < 4 < bootstrap(groups).high


def test_one_measured_group_has_no_interval():
    assert bootstrap([Mean(3.0, 1), Mean()]) is None


def test_people_are_drawn_whole():
    """Ten equal pairs of each of six people say no more than one of each."""
    people = "abcdef"
    once = [sample(scores(distance=float(d)), scores(), person=p) for d, p in enumerate(people)]
    tenfold = [
        sample(scores(distance=float(d)), scores(), person=p, number=n) for d, p in enumerate(people) for n in range(10)
    ]
    assert tally(AKD, tenfold).interval == pytest.approx(tally(AKD, once).interval)


def test_merging_the_accumulators_of_two_processes_gives_that_of_one():
    whole = Mean()
    for value in (1.0, None, 5.0, 3.0):
        whole.add(value)
    first, second = Mean(), Mean()
    first.add(1.0)
    first.add(None)
    second.add(5.0)
    second.add(3.0)
    assert first.merge(second) == whole
