"""The report: every mean stands beside its coverage, its interval and the mean with lost faces penalised."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dagan.evaluation.jobs import PairProtocol
from dagan.evaluation.metrics.accumulators import Correlation
from dagan.evaluation.published import ABSENT, CAVEAT, CROSS_TABLES, SELF_TABLES, layout, row
from dagan.evaluation.records import FOLLOWED, METRICS, Faces, Metric, Sample, SkippedClip, plain
from dagan.evaluation.tally import Interval, Tally, tally
from dagan.observers.faces import ObserverVersion

COLUMNS = ("metric", "generated", "95 % interval", "penalised", "coverage", "unmoved source", "ratio", "pairs")
FORMAT = "dagan-evaluation-3"


class Frechet(NamedTuple):
    """FID-style distance (AlexNet features) of generated images, and of unmoved sources, to the driving frames."""

    generated: float
    unmoved: float
    num_images: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """What an evaluation found: every record, the clips that gave none, and the evaluator that was used."""

    model: str
    protocol: PairProtocol
    observers: dict[str, ObserverVersion]
    samples: tuple[Sample, ...]
    skipped: tuple[SkippedClip, ...] = ()
    frechet: Frechet | None = None
    fingerprint: str = ""
    notes: tuple[str, ...] = ()

    def metrics(self) -> list[Metric]:
        """Those that this protocol and evaluator can measure."""
        return [
            metric
            for metric in METRICS
            if (self.protocol.has_truth or not metric.needs_truth)
            and (not metric.observer or metric.observer in self.observers)
        ]

    def tallies(self) -> list[Tally]:
        """One for each metric."""
        return [tally(metric, self.samples) for metric in self.metrics()]

    def tally(self, name: str) -> Tally:
        """That of the metric whose title starts with `name`, such as "L1"."""
        metric = next(metric for metric in self.metrics() if metric.title.startswith(name))
        return tally(metric, self.samples)

    def correlations(self) -> dict[str, Correlation]:
        """How well expression and head turn follow the driver's, by name."""
        found: dict[str, Correlation] = {}
        for name, change in FOLLOWED:
            found[name] = Correlation()
            for sample in self.samples:
                found[name].add(change(sample.following) if sample.following else None)
        return found

    def num_missing_faces(self) -> dict[str, int]:
        """How many generated, driving and source images show no face that the observer finds."""
        return {name: sum(not getattr(s.faces, name) for s in self.samples) for name in Faces._fields}

    def failures(self) -> list[Sample]:
        """Pairs for which there is no image, or no face in it although the driving frame shows one."""
        return [s for s in self.samples if not s.has_image or (s.faces.driving and not s.faces.generated)]

    def to_markdown(self) -> str:
        """The table with counts, the paper's tables with this run as a row, and how it was measured; reads as text."""
        tallies = self.tallies()
        lines = [row([*COLUMNS, "not measured"]), "| --- |" + " ---: |" * len(COLUMNS)]
        lines += [row([*cells(found), str(found.mean.num_missing + found.num_unusable)]) for found in tallies]
        lines += ["", *self.facts(), "", *paper_tables([self])]
        return "\n".join(lines) + "\n"

    def facts(self) -> list[str]:
        """What was measured, with what: lines of a Markdown list."""
        clips = len({sample.source.clip for sample in self.samples})
        missing = ", ".join(f"{count} {name}" for name, count in self.num_missing_faces().items())
        follows = (f"{name} {number(c.compute(), 2)} ({c.count} pairs)" for name, c in self.correlations().items())
        size, no_image = self.protocol.size, sum(not sample.has_image for sample in self.samples)
        lines = [
            f"- model: {self.model}" + (f", sha256 {self.fingerprint[:12]}" if self.fingerprint else ""),
            f"- {self.protocol.name}: {len(self.samples)} pairs of {clips} clips, {self.protocol.describe()}, "
            f"{size}x{size} pixels",
            f"- images without a face: {missing} (of {len(self.samples)} each); pairs without an image: {no_image}",
            f"- follows the driver, correlation of changes: {', '.join(follows)}",
        ]
        if self.frechet is not None:
            lines.append(
                f"- Frechet distance (AlexNet features, {self.frechet.num_images} images): "
                f"{self.frechet.generated:.2f}, unmoved source {self.frechet.unmoved:.2f}"
            )
        lines += [
            f"- {use}: {seen.name}, {seen.software}, weights {seen.weights_sha256[:12]}"
            for use, seen in self.observers.items()
        ]
        lines += [f"- {note}" for note in self.notes]
        if self.skipped:
            reasons = "; ".join(f"{skipped.clip} ({skipped.reason})" for skipped in self.skipped[:20])
            more = f"; and {len(self.skipped) - 20} more" if len(self.skipped) > 20 else ""
            lines.append(f"- {len(self.skipped)} clips skipped: {reasons}{more}")
        return lines

    def to_json(self) -> str:
        """Everything, the records included; numbers in full, None as null."""
        whole = {
            "format": FORMAT,
            "model": self.model,
            "fingerprint": self.fingerprint,
            "protocol": self.protocol,
            "observers": self.observers,
            "summary": {found.metric.title: _summary(found) for found in self.tallies()},
            "frechet": self.frechet,
            "missing_faces": self.num_missing_faces(),
            "following": {
                name: {"correlation": c.compute(), "num_pairs": c.count, "num_missing": c.num_missing}
                for name, c in self.correlations().items()
            },
            "notes": self.notes,
            "skipped": self.skipped,
            "samples": self.samples,
        }
        return json.dumps(plain(whole), indent=1, allow_nan=False) + "\n"


def paper_tables(reports: Sequence[Report]) -> list[str]:
    """Tables 1 and 2, or 3 and 4, with a row for each report and the caveat; reports of one protocol."""
    tables = SELF_TABLES if reports[0].protocol.has_truth else CROSS_TABLES
    ours: dict[str, dict[str, str]] = {}
    for report in reports:
        texts = ours.setdefault(report.model, {})
        penalised = ours.setdefault(f"{report.model}, lost faces penalised", {})
        for found in report.tallies():
            share = f" ({found.coverage:.0%})" if found.coverage is not None else ""
            texts[found.metric.field] = number(found.mean.compute(), found.metric.decimals) + share
            penalised[found.metric.field] = number(found.penalised, found.metric.decimals)
    lines: list[str] = []
    for table in tables:
        lines += [*layout(table, ours), ""]
    return [*lines, f"In brackets: share of the pairs that could be measured. {CAVEAT}"]


def number(value: float | None, decimals: int) -> str:
    return ABSENT if value is None else f"{value:.{decimals}f}"


def interval_text(interval: Interval | None, decimals: int) -> str:
    return ABSENT if interval is None else f"{interval.low:.{decimals}f} to {interval.high:.{decimals}f}"


def cells(found: Tally) -> list[str]:
    """A metric's cells under `COLUMNS`."""
    digits = found.metric.decimals
    return [
        found.metric.title + (" ↓" if found.metric.lower_is_better else " ↑"),
        number(found.mean.compute(), digits),
        interval_text(found.interval, digits),
        number(found.penalised, digits),
        ABSENT if found.coverage is None else f"{found.coverage:.1%}",
        number(found.unmoved.compute(), digits),
        number(found.ratio, 3),
        str(found.mean.count),
    ]


def _summary(found: Tally) -> dict[str, object]:
    return {
        "generated": found.mean.compute(),
        "interval": found.interval,
        "penalised": found.penalised,
        "penalty": found.penalty,
        "coverage": found.coverage,
        "unmoved": found.unmoved.compute(),
        "ratio": found.ratio,
        "num_pairs": found.mean.count,
        "num_missing": found.mean.num_missing,
        "num_unusable": found.num_unusable,
    }
