"""What an ablation found: the finished runs, and which differences are larger than noise.

Two variants can also differ by the people they are tested on, and by the seed they were trained with. The first is
answered by drawing people anew (bootstrap of paired differences), the second by the spread of runs that differ in
nothing but their seed, pooled over all variants that have several.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from dagan.evaluation.ablation import PROTOCOLS, TRAINED, Cell, result_file
from dagan.evaluation.compare import mean_by_person
from dagan.evaluation.metrics.accumulators import Mean
from dagan.evaluation.published import TABLE_4 as PUBLISHED
from dagan.evaluation.records import BY_FIELD, FrameName, Metric, Sample
from dagan.evaluation.report import Report, read_report
from dagan.evaluation.tally import Interval, Tally, is_usable, tally, worst_value
from dagan.presets import TABLE_4

TITLES = dict(zip(TABLE_4, (name for name, _ in PUBLISHED.rows), strict=True))  # ours: the paper's name of a row
CLAIMS = (  # what the paper's Table 4 and Fig. 12 claim: the second of each pair is the better one
    ("baseline", "baseline_fdn"),
    ("baseline", "baseline_cam"),
    ("baseline", "dagan"),
    ("dagan_sa", "dagan"),
    ("fomm", "fomm_fdn"),
    ("fomm", "fomm_cam"),
    ("fomm", "fomm_fdn_cam"),
)
COMPARED = {"cross": ("csim", "head_pose_error", "aucon"), "self": ("l1", "ssim", "lpips", "akd")}
# Student's t at 97.5 % for 1, 2, ... degrees of freedom (any table of it); beyond the last, the normal value.
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
NORMAL = 1.960


class FinishedRun(NamedTuple):
    """One variant with one seed: its reports by protocol, how it was trained, and its learning curve."""

    cell: Cell
    reports: dict[str, Report]
    trained: dict[str, Any]
    curve: list[dict[str, Any]]


class SeedNoise(NamedTuple):
    """Standard deviation of one run's mean over seeds, and the degrees of freedom it was found with (0: unknown)."""

    deviation: float
    freedom: int

    def reach(self, first: int, second: int) -> float | None:
        """Half the 95 % interval of a difference between means of `first` and `second` seeds; None when unknown."""
        if self.freedom == 0:
            return None
        student = STUDENT[self.freedom - 1] if self.freedom <= len(STUDENT) else NORMAL
        return student * self.deviation * math.sqrt(1 / first + 1 / second)


class Difference(NamedTuple):
    """A metric of two variants, second minus first, lost faces penalised; `seeds`: half of the seeds' interval."""

    metric: Metric
    protocol: str
    first: str
    second: str
    value: float
    people: Interval | None
    seeds: float | None

    @property
    def is_told(self) -> bool:
        return self.verdict in ("better", "worse")

    @property
    def verdict(self) -> str:
        """Whether the second is better, as far as people and seeds let us say."""
        direction = "better" if (self.value < 0) == self.metric.lower_is_better else "worse"
        if self.people is None or self.people.low <= 0 <= self.people.high:
            return "cannot be told: within the spread of people"
        if self.seeds is None:
            return f"cannot be told: {direction} for these people, with one seed"
        return direction if abs(self.value) > self.seeds else "cannot be told: within seed noise"


class UnfinishedRun(NamedTuple):
    """A run that was begun: the steps that its log has, and whether it is trained but not measured yet."""

    cell: Cell
    steps: int
    is_trained: bool


class Results:
    """The finished runs of one ablation, and those that were begun."""

    def __init__(self, run: Path) -> None:
        self.runs = list(_finished(run))
        self.unfinished = list(_unfinished(run))
        self.variants = [name for name in TABLE_4 if any(found.cell.variant == name for found in self.runs)]

    def of(self, variant: str) -> list[FinishedRun]:
        return [found for found in self.runs if found.cell.variant == variant]

    def samples(self, variant: str, protocol: str) -> tuple[Sample, ...]:
        """Of all seeds together."""
        return tuple(sample for found in self.of(variant) for sample in found.reports[protocol].samples)

    def penalty(self, metric: Metric, protocol: str) -> float | None:
        """What a lost face costs, the same for all."""
        return worst_value(metric, [s for found in self.runs for s in found.reports[protocol].samples])

    def measured(self, protocol: str) -> list[Metric]:
        """The metrics that every run has."""
        fields = [{metric.field for metric in found.reports[protocol].metrics()} for found in self.runs]
        return [metric for name, metric in BY_FIELD.items() if all(name in found for found in fields)]

    def tally(self, metric: Metric, variant: str, protocol: str) -> Tally:
        """The mean over pairs and seeds; its interval is that of drawing people anew, with these seeds."""
        return tally(metric, self.samples(variant, protocol), self.penalty(metric, protocol))

    def noise(self, metric: Metric, protocol: str) -> SeedNoise:
        """Pooled over the variants that have two seeds or more."""
        penalty, squares, freedom = self.penalty(metric, protocol), 0.0, 0
        for variant in self.variants:
            reports = [found.reports[protocol] for found in self.of(variant)]
            means = [tally(metric, report.samples, penalty).penalised for report in reports]
            known = [mean for mean in means if mean is not None]
            if len(known) > 1:
                centre = sum(known) / len(known)
                squares += sum((mean - centre) ** 2 for mean in known)
                freedom += len(known) - 1
        return SeedNoise(math.sqrt(squares / freedom) if freedom else 0.0, freedom)

    def difference(self, metric: Metric, protocol: str, first: str, second: str) -> Difference | None:
        """None when no pair was measured for both."""
        ours, theirs = (self._by_pair(metric, variant, protocol) for variant in (first, second))
        pairs = [(key[1].identity, theirs[key] - ours[key]) for key in ours if key in theirs]
        mean, people = mean_by_person(pairs)
        value = mean.compute()
        if value is None:
            return None
        reach = self.noise(metric, protocol).reach(len(self.of(first)), len(self.of(second)))
        return Difference(metric, protocol, first, second, value, people, reach)

    def differences(self) -> list[Difference]:
        """The paper's claims by the paper's metrics, then by those that compare with the true frame."""
        found = [
            self.difference(metric, protocol, first, second)
            for protocol, fields in COMPARED.items()
            for first, second in CLAIMS
            if first in self.variants and second in self.variants
            for metric in self.measured(protocol)
            if metric.field in fields
        ]
        return [difference for difference in found if difference is not None]

    def _by_pair(self, metric: Metric, variant: str, protocol: str) -> dict[tuple[FrameName, FrameName], float]:
        """The mean over seeds of each pair, lost faces penalised."""
        penalty = self.penalty(metric, protocol)
        means: dict[tuple[FrameName, FrameName], Mean] = {}
        for sample in self.samples(variant, protocol):
            value = metric.value(sample.generated)
            if is_usable(metric, sample) and (value is not None or penalty is not None):
                means.setdefault((sample.source, sample.driving), Mean()).add(penalty if value is None else value)
        return {pair: mean.total / mean.count for pair, mean in means.items() if mean.count}


def published(variant: str, field: str) -> float:
    """The paper's number in Table 4."""
    columns = [name for _, name in PUBLISHED.columns]
    return dict(PUBLISHED.rows)[TITLES[variant]][columns.index(field)]


def _begun(run: Path) -> Iterator[Cell]:
    """The runs that have a folder, in the paper's order."""
    for variant in TABLE_4:
        seeds = [int(folder.name.removeprefix("seed")) for folder in (run / variant).glob("seed*")]
        yield from (Cell(variant, seed) for seed in sorted(seeds))


def _finished(run: Path) -> Iterator[FinishedRun]:
    for cell in _begun(run):
        if cell.is_done(run):
            folder = cell.folder(run)
            reports = {protocol: read_report(folder / result_file(protocol)) for protocol in PROTOCOLS}
            yield FinishedRun(cell, reports, json.loads((folder / TRAINED).read_text()), read_curve(folder))


def _unfinished(run: Path) -> Iterator[UnfinishedRun]:
    for cell in _begun(run):
        folder = cell.folder(run)
        if not cell.is_done(run) and (folder / "metrics.jsonl").is_file():
            steps = max((record["step"] for record in read_curve(folder)), default=0)
            yield UnfinishedRun(cell, steps, (folder / TRAINED).is_file())


def read_curve(folder: Path) -> list[dict[str, Any]]:
    """The records of a run; where it was stopped and went on, steps that were made twice count once."""
    by_step: dict[tuple[int, bool], dict[str, Any]] = {}
    for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        by_step[record["step"], "validation_l1" in record] = record
    return [by_step[key] for key in sorted(by_step)]
