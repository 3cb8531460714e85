"""Two runs on the same pairs: the mean of the paired differences, with an interval."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dagan.errors import UserError
from dagan.evaluation.jobs import PairProtocol
from dagan.evaluation.metrics.accumulators import Mean
from dagan.evaluation.published import row
from dagan.evaluation.records import METRICS, Metric, Sample, SkippedClip, plain, sample_from_plain
from dagan.evaluation.report import FORMAT, Report, interval_text, number
from dagan.evaluation.tally import FEWEST_PEOPLE, Interval, bootstrap, is_usable, merged, worst_value
from dagan.observers.faces import ObserverVersion

RESULT = "evaluation.json"


class Difference(NamedTuple):
    """One metric of two runs, second minus first, over the pairs that both measured; `penalised` over all that are
    usable, lost faces at the worst value of both runs together."""

    metric: Metric
    first: Mean
    second: Mean
    difference: Mean
    interval: Interval | None
    penalised: Mean
    penalised_interval: Interval | None

    @property
    def verdict(self) -> str:
        """Which run is better, if the interval of the penalised difference leaves zero out."""
        interval = self.penalised_interval
        if interval is None or interval.low <= 0 <= interval.high:
            return "no clear difference"
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
        lines = [
            f"- first: {self.first}",
            f"- second: {self.second}",
            f"- {self.num_common} common pairs; only in the first {self.num_only_first}, in the second "
            f"{self.num_only_second}",
            *(f"- warning: {warning}" for warning in self.warnings),
            "",
            row([*heads, "pairs", "verdict"]),
            "| --- |" + " ---: |" * 7 + " --- |",
        ]
        return "\n".join([*lines, *map(_line, self.differences)]) + "\n"

    def to_json(self) -> str:
        whole = plain(self) | {"verdicts": {d.metric.title: d.verdict for d in self.differences}}
        return json.dumps(_numbers(whole), indent=1, allow_nan=False) + "\n"


def read_report(path: str | Path) -> Report:
    """A report from its JSON file, or from the folder that holds it.

    Raises:
        UserError: no such file, or not a result of `dagan evaluate`.
    """
    file = Path(path) / RESULT if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise UserError(f"no such result: {file}; give the folder that `dagan evaluate -o` wrote, or its {RESULT}")
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise ValueError(f"its format is {found['format']}, expected {FORMAT}")
        return _report(found)
    except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise UserError(f"{file} is not a result of `dagan evaluate` ({type(error).__name__}: {error})") from error


def _report(found: Mapping[str, Any]) -> Report:
    protocol = dict(found["protocol"])
    if protocol.pop("is_relative", False):  # results from before there was a choice
        protocol["rest"] = "first"
    return Report(
        model=found["model"],
        protocol=PairProtocol(**protocol),
        observers={use: ObserverVersion(**version) for use, version in found["observers"].items()},
        samples=tuple(sample_from_plain(sample) for sample in found["samples"]),
        skipped=tuple(SkippedClip(**skipped) for skipped in found["skipped"]),
        fingerprint=found["fingerprint"],
        notes=tuple(found["notes"]),
    )


def compare(first: Report, second: Report) -> Comparison:
    """Paired differences, second minus first.

    Raises:
        UserError: the runs are of different protocols or evaluators, or have no pair in common.
    """
    if (first.protocol.name, first.protocol.size) != (second.protocol.name, second.protocol.size):
        protocols = (f"{r.protocol.name} at {r.protocol.size} pixels" for r in (first, second))
        raise UserError(f"the runs measure different things: {' and '.join(protocols)}")
    if first.protocol.rest != second.protocol.rest:
        ways = (
            f"from the {report.protocol.rest} frame" if report.protocol.rest else "absolute"
            for report in (first, second)
        )
        raise UserError(f"the runs transfer motion differently: {' and '.join(ways)}; evaluate both with one --rest")
    common_uses = first.observers.keys() & second.observers.keys()
    for use in sorted(common_uses):
        used = [report.observers[use] for report in (first, second)]
        if (used[0].name, used[0].weights_sha256) != (used[1].name, used[1].weights_sha256):
            raise UserError(f"the runs used different observers for {use}: {used[0].name} and {used[1].name}")
    ours, theirs = _by_pair(first.samples), _by_pair(second.samples)
    common = [(ours[key], theirs[key]) for key in ours if key in theirs]
    if not common:
        raise UserError(f"{first.model} and {second.model} have no pair in common; evaluate both on the same list")
    fields = {metric.field for metric in first.metrics()} & {metric.field for metric in second.metrics()}
    differences = tuple(_difference(metric, common) for metric in METRICS if metric.field in fields)
    software = [
        f"{use}: {first.observers[use].software} and {second.observers[use].software}"
        for use in sorted(common_uses)
        if first.observers[use].software != second.observers[use].software
    ]
    return Comparison(
        first.model,
        second.model,
        differences,
        len(common),
        len(ours) - len(common),
        len(theirs) - len(common),
        tuple(software),
    )


def _by_pair(samples: Sequence[Sample]) -> dict[tuple[str, int, str, int], Sample]:
    return {(s.source.clip, s.source.frame, s.driving.clip, s.driving.frame): s for s in samples}


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
    """The mean of (person, value), and its interval when whole people are drawn anew (single values, of few people)."""
    people: dict[str, Mean] = {}
    for person, value in values:
        people.setdefault(person, Mean()).add(value)
    groups = list(people.values()) if len(people) >= FEWEST_PEOPLE else [Mean(value, 1) for _, value in values]
    return merged(groups), bootstrap(groups)


def _line(found: Difference) -> str:
    digits = found.metric.decimals
    return row(
        [
            found.metric.title + (" ↓" if found.metric.lower_is_better else " ↑"),
            number(found.first.compute(), digits),
            number(found.second.compute(), digits),
            number(found.difference.compute(), digits),
            interval_text(found.interval, digits),
            number(found.penalised.compute(), digits),
            interval_text(found.penalised_interval, digits),
            str(found.difference.count),
            found.verdict,
        ]
    )


def _numbers(value: Any) -> Any:
    """Means as their number and count."""
    if isinstance(value, Mean):
        return {"mean": value.compute(), "num_pairs": value.count}
    if isinstance(value, dict):
        return {key: _numbers(inner) for key, inner in value.items()}
    return [_numbers(inner) for inner in value] if isinstance(value, list) else value
