"""From records to numbers: means beside their coverage, the penalised mean, and a bootstrap interval."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dagan.evaluation.metrics.accumulators import Mean
from dagan.evaluation.records import Metric, Sample

NUM_DRAWS = 2000
SEED = 0
LEVEL = 0.95
FEWEST_PEOPLE = 5  # below it the bootstrap draws pairs: three people say little about people


class Interval(NamedTuple):
    """The middle 95 % of the bootstrap's means."""

    low: float
    high: float


class Tally(NamedTuple):
    """One metric over all pairs.

    `mean` counts as missing the pairs that the *system* lost: no image, or no face in it, where the reference shows
    one. They enter `penalised` with the value `penalty`. `num_unusable` pairs have no face in the reference image:
    nobody could be measured by them, and they are in neither number.
    """

    metric: Metric
    mean: Mean
    interval: Interval | None
    penalty: float | None
    num_unusable: int
    unmoved: Mean
    ratio: float | None

    @property
    def penalised(self) -> float | None:
        """The mean with every lost face counted as `penalty`."""
        total = self.mean.count + self.mean.num_missing
        if not total or self.penalty is None:
            return self.mean.compute()
        return (self.mean.total + self.mean.num_missing * self.penalty) / total

    @property
    def coverage(self) -> float | None:
        """Share of the usable pairs that were measured."""
        total = self.mean.count + self.mean.num_missing
        return self.mean.count / total if total else None


def tally(metric: Metric, samples: Sequence[Sample], penalty: float | None = None) -> Tally:
    """One metric's numbers. `penalty` is the worst value seen in these records unless given (`worst_value`)."""
    people: dict[str, Mean] = {}
    pairs: list[Mean] = []
    unusable, unmoved, common = 0, Mean(), Mean()
    for sample in samples:
        value, still = metric.value(sample.generated), metric.value(sample.unmoved)
        if not is_usable(metric, sample):
            unusable += 1
            continue
        pairs.append(Mean())
        pairs[-1].add(value)
        people.setdefault(sample.driving.identity, Mean()).add(value)
        both = value is not None and still is not None
        unmoved.add(still if both else None)
        common.add(value if both else None)
    mean = merged(pairs)
    groups = list(people.values()) if len(people) >= FEWEST_PEOPLE else pairs
    worst = penalty if penalty is not None else worst_value(metric, samples)
    return Tally(metric, mean, bootstrap(groups), worst, unusable, unmoved, _ratio(metric, common, unmoved))


def is_usable(metric: Metric, sample: Sample) -> bool:
    """Whether the reference images show the face or the region that the metric needs."""
    has_face = not metric.face or bool(getattr(sample.faces, metric.face))
    return has_face and (not metric.shown or bool(getattr(sample.shown, metric.shown)))


def merged(means: Sequence[Mean]) -> Mean:
    whole = Mean()
    for mean in means:
        whole = whole.merge(mean)
    return whole


def worst_value(metric: Metric, samples: Sequence[Sample]) -> float | None:
    """What a lost face costs: the worst value among generated images and unmoved sources where lower is better, 0 where
    higher is better (or the worst value, should it be below 0); None if nothing was measured."""
    seen = [metric.value(scores) for sample in samples for scores in (sample.generated, sample.unmoved)]
    values = [value for value in seen if value is not None]
    if metric.lower_is_better:
        return max(values, default=None)
    return min([0.0, *values])


def bootstrap(groups: Sequence[Mean], num_draws: int = NUM_DRAWS, seed: int = SEED) -> Interval | None:
    """The interval of the mean when whole groups (people, as one's pairs are alike; or pairs) are drawn anew.

    None when fewer than two groups were measured.
    """
    totals = np.array([group.total for group in groups if group.count])
    counts = np.array([group.count for group in groups if group.count])
    if len(counts) < 2:
        return None
    drawn = np.random.default_rng(seed).multinomial(len(counts), np.full(len(counts), 1 / len(counts)), num_draws)
    means = drawn @ totals / (drawn @ counts)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return Interval(low, high)


def _ratio(metric: Metric, generated: Mean, unmoved: Mean) -> float | None:
    """Generated over unmoved, over the pairs where both are measured: below 1 when moving helped."""
    ours, still = generated.compute(), unmoved.compute()
    if not metric.lower_is_better or ours is None or not still:
        return None
    return ours / still
