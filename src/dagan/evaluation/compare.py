"""Two runs on the same pairs: the mean of the paired differences, with an interval."""

import json
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from dagan.errors import UserError
from dagan.evaluation.markdown import bullets, interval_text, number, table
from dagan.evaluation.metrics.accumulators import Mean
from dagan.evaluation.pairs import MOTIONS
from dagan.evaluation.records import METRICS, Metric, Sample, plain
from dagan.evaluation.report import Report, titled
from dagan.evaluation.tally import FEWEST_PEOPLE, Interval, bootstrap, is_usable, merged, worst_value

FEWEST_PAIRS = 30  # below it the bootstrap's interval is too narrow


class Difference(NamedTuple):
    """One metric of two runs, second minus first, over the pairs that both measured.

    `penalised` is over all usable pairs: a lost face counts as the worst value of both runs together.
    """

    metric: Metric
    first: Mean
    second: Mean
    difference: Mean
    interval: Interval | None
    penalised: Mean
    penalised_interval: Interval | None

    @property
    def verdict(self) -> str:
        """Which run is better, if the interval of the penalised difference excludes zero."""
        interval = self.penalised_interval
        if interval is None or interval.low <= 0 <= interval.high:
            return "no clear difference"
        if self.metric.lower_is_better is None:
            return "second is larger" if interval.low > 0 else "first is larger"
        return "second is better" if (interval.high < 0) == self.metric.lower_is_better else "first is better"


class Comparison(NamedTuple):
    """All metrics of two runs, and how many pairs only one of them has."""

    first: str
    second: str
    differences: tuple[Difference, ...]
    num_common: int
    num_only_first: int
    num_only_second: int
    warnings: tuple[str, ...]

    def to_markdown(self) -> str:
        """A table, readable as text."""
        heads = ["metric", "first", "second", "difference", "95 % interval", "penalised difference", "95 % interval"]
        facts = [
            f"first: {self.first}",
            f"second: {self.second}",
            f"{self.num_common} common pairs; only in the first {self.num_only_first}, in the second "
            f"{self.num_only_second}",
            *(f"warning: {warning}" for warning in self.warnings),
        ]
        rows = [_cells(found) for found in self.differences]
        return "\n".join([*bullets(facts), "", *table([*heads, "pairs", "verdict"], rows, 7)]) + "\n"

    def to_json(self) -> str:
        whole = plain(self) | {"verdicts": {d.metric.title: d.verdict for d in self.differences}}
        return json.dumps(_numbers(whole), indent=1, allow_nan=False) + "\n"


def compare(first: Report, second: Report) -> Comparison:
    """Paired differences, second minus first.

    Raises:
        UserError: the runs are of different protocols or evaluators, or have no pair in common.
    """
    _check_protocols(first, second)
    uses = sorted(first.observers.keys() & second.observers.keys())
    _check_observers(first, second, uses)
    ours, theirs = _by_pair(first.samples, by_name), _by_pair(second.samples, by_name)
    if not ours.keys() & theirs.keys():  # a list and its exported frames have other names
        ours, theirs = _by_pair(first.samples, by_pixels), _by_pair(second.samples, by_pixels)
    common = [(ours[key], theirs[key]) for key in ours if key in theirs]
    if not common:
        raise UserError(f"{first.model} and {second.model} have no pair in common; evaluate both on the same list")
    fields = {metric.field for metric in first.metrics()} & {metric.field for metric in second.metrics()}
    software = [(use, first.observers[use].software, second.observers[use].software) for use in uses]
    return Comparison(
        first.model,
        second.model,
        tuple(_difference(metric, common) for metric in METRICS if metric.field in fields),
        len(common),
        len(ours) - len(common),
        len(theirs) - len(common),
        (
            *(f"{use}: {a} and {b}" for use, a, b in software if a != b),
            *_motion_warning(first, second),
            *_count_warning(common),
        ),
    )


def _check_protocols(first: Report, second: Report) -> None:
    if (first.protocol.name, first.protocol.size) != (second.protocol.name, second.protocol.size):
        protocols = (f"{r.protocol.name} at {r.protocol.size} pixels" for r in (first, second))
        raise UserError(f"the runs measure different things: {' and '.join(protocols)}")


def _motion_warning(first: Report, second: Report) -> list[str]:
    ways = [MOTIONS[report.protocol.motion] for report in (first, second)]
    return [f"the runs transfer motion differently: {ways[0]}; {ways[1]}"] if ways[0] != ways[1] else []


def _count_warning(common: Sequence[tuple[Sample, Sample]]) -> list[str]:
    """Where the intervals promise more than so few pairs can tell."""
    people = len({pair[0].driving.identity for pair in common})
    if len(common) >= FEWEST_PAIRS and people >= FEWEST_PEOPLE:
        return []
    return [
        f"{len(common)} pairs of {people} people are too few to tell the systems apart; "
        f"use at least {FEWEST_PAIRS} pairs of {FEWEST_PEOPLE} people"
    ]


def _check_observers(first: Report, second: Report, uses: Sequence[str]) -> None:
    for use in uses:
        used = [report.observers[use] for report in (first, second)]
        if (used[0].name, used[0].weights_sha256) != (used[1].name, used[1].weights_sha256):
            raise UserError(
                f"the runs used different observers for {use}: {used[0].name} ({used[0].weights_sha256[:12]}) and "
                f"{used[1].name} ({used[1].weights_sha256[:12]})"
            )


def by_name(sample: Sample) -> Hashable:
    """A pair by the names of its frames."""
    return sample.source, sample.driving


def by_pixels(sample: Sample) -> Hashable:
    """A pair by the pixels of its frames, whatever their names."""
    return sample.images


def _by_pair(samples: Sequence[Sample], key: Callable[[Sample], Hashable]) -> dict[Hashable, Sample]:
    return {key(sample): sample for sample in samples if key(sample)}


def _difference(metric: Metric, common: Sequence[tuple[Sample, Sample]]) -> Difference:
    worst = worst_value(metric, [sample for pair in common for sample in pair])
    first, second = Mean(), Mean()
    measured: list[tuple[str, float]] = []
    penalised: list[tuple[str, float]] = []
    for a, b in common:
        if not (is_usable(metric, a) and is_usable(metric, b)):
            continue
        x, y = metric.value(a.generated), metric.value(b.generated)
        person = a.driving.identity
        if x is not None and y is not None:
            first.add(x)
            second.add(y)
            measured.append((person, y - x))
        if worst is not None:
            penalised.append((person, (worst if y is None else y) - (worst if x is None else x)))
    plain_mean, interval = mean_by_person(measured)
    strict_mean, strict_interval = mean_by_person(penalised)
    return Difference(metric, first, second, plain_mean, interval, strict_mean, strict_interval)


def mean_by_person(values: Sequence[tuple[str, float]]) -> tuple[Mean, Interval | None]:
    """The mean of (person, value), and its bootstrap interval over people, or over values where people are few."""
    people: dict[str, Mean] = {}
    for person, value in values:
        people.setdefault(person, Mean()).add(value)
    groups = list(people.values()) if len(people) >= FEWEST_PEOPLE else [Mean(value, 1) for _, value in values]
    return merged(groups), bootstrap(groups)


def _cells(found: Difference) -> list[str]:
    digits = found.metric.decimals
    return [
        titled(found.metric),
        number(found.first.compute(), digits),
        number(found.second.compute(), digits),
        number(found.difference.compute(), digits),
        interval_text(found.interval, digits),
        number(found.penalised.compute(), digits),
        interval_text(found.penalised_interval, digits),
        str(found.difference.count),
        found.verdict,
    ]


def _numbers(value: Any) -> Any:
    """Means as their number and count."""
    if isinstance(value, Mean):
        return {"mean": value.compute(), "num_pairs": value.count}
    if isinstance(value, dict):
        return {key: _numbers(inner) for key, inner in value.items()}
    return [_numbers(inner) for inner in value] if isinstance(value, list) else value
