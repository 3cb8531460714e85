"""The report of an evaluation, as Markdown and as JSON. Each mean has its coverage, interval and penalised mean."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

from dagan.config import from_plain
from dagan.errors import UserError
from dagan.evaluation.followed import followed_heads, followed_in, followed_rows
from dagan.evaluation.markdown import ABSENT, bullets, escaped, interval_text, number, table
from dagan.evaluation.metrics.accumulators import Correlation, Mean
from dagan.evaluation.metrics.temporal import ClipMotion
from dagan.evaluation.pairs import EvaluationProtocol
from dagan.evaluation.published import CAVEAT, CROSS_TABLES, SELF_TABLES, PaperTable, Row, rows_beside
from dagan.evaluation.records import FOLLOWED, METRICS, Faces, Metric, Sample, SkippedClip, plain
from dagan.evaluation.tally import Tally, tally
from dagan.observers.faces import ObserverVersion

COLUMNS = ("metric", "generated", "95 % interval", "penalised", "coverage", "unmoved source", "ratio", "pairs")
FORMAT = "dagan-evaluation-5"
RESULT = "evaluation.json"
NUM_NAMED = 20  # skipped clips that are named in the text; the JSON has all


class Frechet(NamedTuple):
    """FID-style distance (AlexNet features) of generated images, and of unmoved sources, to the driving frames."""

    generated: float
    unmoved: float
    num_images: int


class PoseErrorOfSet(NamedTuple):
    """PRMSE in degrees of generated images and of unmoved sources, over the pairs where both were measured."""

    generated: float | None
    unmoved: float | None


@dataclass(frozen=True, kw_only=True)
class Report:
    """Every record of an evaluation, the clips that gave none, and the observers.

    `unmeasured` says of each missing observer what it would have measured, and why it is missing.
    """

    model: str
    protocol: EvaluationProtocol
    observers: dict[str, ObserverVersion]
    samples: tuple[Sample, ...]
    skipped: tuple[SkippedClip, ...] = ()
    frechet: Frechet | None = None
    fingerprint: str = ""
    unmeasured: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    motions: tuple[ClipMotion, ...] = ()

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
        """How well each part of the expression, and the head's turn, follow the driver."""
        found: dict[str, Correlation] = {}
        for name, change in FOLLOWED:
            found[name] = Correlation()
            for sample in self.samples:
                found[name].add(change(sample.following) if sample.following else None)
        return found

    def num_missing_faces(self) -> dict[str, int]:
        """How many generated, driving and source images show no face that the observer finds."""
        return {name: sum(not getattr(s.faces, name) for s in self.samples) for name in Faces._fields}

    def pose_error_of_set(self) -> "PoseErrorOfSet":
        """PRMSE with one root over the whole set, not one for each pair and then their mean."""
        values = [(s.generated.head_pose_error, s.unmoved.head_pose_error) for s in self.samples]
        seen = [(ours, still) for ours, still in values if ours is not None and still is not None]
        if not seen:
            return PoseErrorOfSet(None, None)
        return PoseErrorOfSet(*(math.sqrt(sum(x * x for x in side) / len(side)) for side in zip(*seen, strict=True)))

    def failures(self) -> list[Sample]:
        """Pairs for which there is no image, or no face in it although the driving frame shows one."""
        return [s for s in self.samples if not s.has_image or (s.faces.driving and not s.faces.generated)]

    def to_markdown(self) -> str:
        """The table, how it was measured, and the paper's tables with this run as a row. It reads as plain text."""
        rows = [[*cells(found), str(found.mean.num_missing + found.num_unusable)] for found in self.tallies()]
        lines = [*table([*COLUMNS, "not measured"], rows), "", *bullets(self.facts()), ""]
        if followed := followed_in(self.samples):
            heads = followed_heads(followed)
            lines += ["### Follows the driver: correlation of changes", "", *table(heads, followed_rows(followed)), ""]
        for paper, beside in paper_tables(self):
            heads = ["model", *(heading for heading, _ in paper.columns)]
            marked = [[f"**{escaped(r.name)}**" if r.is_ours else r.name, *r.texts] for r in beside]
            lines += [f"### Table {paper.number}: {paper.title}", "", CAVEAT, "", *table(heads, marked), ""]
        return "\n".join([*lines, "In brackets: share of the pairs that could be measured."]) + "\n"

    def observer_line(self) -> str:
        """The observers in use, and what is not measured for want of one, in one line."""
        missing = "".join(f"; not measured: {reason}" for reason in self.unmeasured)
        return f"observers: {', '.join(f'{use} ({seen.name})' for use, seen in self.observers.items())}{missing}"

    def facts(self) -> list[str]:
        """What was measured and how, as lines of plain text."""
        clips = len({sample.source.clip for sample in self.samples})
        missing = ", ".join(f"{count} {name}" for name, count in self.num_missing_faces().items())
        follows = (f"{name} {number(c.compute(), 2)} ({c.count} pairs)" for name, c in self.correlations().items())
        size, no_image = self.protocol.size, sum(not sample.has_image for sample in self.samples)
        lines = [
            f"model: {self.model}" + (f", sha256 {self.fingerprint[:12]}" if self.fingerprint else ""),
            f"{self.protocol.name}: {len(self.samples)} pairs of {clips} clips, {self.protocol.describe()}, "
            f"{size}x{size} pixels",
            self.observer_line(),
            f"images without a face: {missing} (of {len(self.samples)} each); pairs without an image: {no_image}",
            f"follows the driver, correlation of changes: {', '.join(follows)}",
        ]
        if (errors := self.pose_error_of_set()).generated is not None:
            lines.append(
                "PRMSE as the literature has it, root over the set: "
                f"{number(errors.generated, 2)} degrees, unmoved source {number(errors.unmoved, 2)}"
            )
        if self.frechet is not None:
            lines.append(
                f"Frechet distance (AlexNet features, {self.frechet.num_images} images): "
                f"{self.frechet.generated:.2f}, unmoved source {self.frechet.unmoved:.2f}"
            )
        if self.motions:
            lines.append(f"over time, {len(self.motions)} clips: {over_time(self.motions)}")
        lines += [f"{use}: {seen.software}, weights {seen.weights_sha256[:12]}" for use, seen in self.observers.items()]
        lines += self.notes
        if self.skipped:
            reasons = "; ".join(f"{skipped.clip} ({skipped.reason})" for skipped in self.skipped[:NUM_NAMED])
            more = f"; and {len(self.skipped) - NUM_NAMED} more" if len(self.skipped) > NUM_NAMED else ""
            lines.append(f"{len(self.skipped)} clips skipped: {reasons}{more}")
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
            "pose_error_of_set": self.pose_error_of_set(),
            "missing_faces": self.num_missing_faces(),
            "following": {row.name: row._asdict() for row in followed_in(self.samples)},
            "motions": self.motions,
            "unmeasured": self.unmeasured,
            "notes": self.notes,
            "skipped": self.skipped,
            "samples": self.samples,
        }
        return json.dumps(plain(whole), indent=1, allow_nan=False) + "\n"


def over_time(motions: Sequence[ClipMotion]) -> str:
    """Mean jitter and flicker beside the drivers', in words."""
    means = [Mean() for _ in range(4)]
    for motion in motions:
        for mean, value in zip(means, motion[2:], strict=True):
            mean.add(value)
    jitter, driver_jitter, flicker, driver_flicker = (number(mean.compute(), 2) for mean in means)
    return (
        f"landmark jitter {jitter} px (driver {driver_jitter}); "
        f"flicker of the background {flicker} grey levels (driver {driver_flicker})"
    )


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
            raise ValueError(f"its format is {found['format']}, expected {FORMAT}; evaluate again")
        return from_plain(Report, {field.name: found[field.name] for field in fields(Report)}, "result")
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise UserError(f"{file} is not a result of `dagan evaluate` ({type(error).__name__}: {error})") from error


def paper_tables(report: Report) -> list[tuple[PaperTable, list[Row]]]:
    """Tables 1 and 2, or 3 and 4, with two rows of ours: the means, and the penalised means."""
    texts, penalised = {}, {}
    for found in report.tallies():
        share = f" ({found.coverage:.0%})" if found.coverage is not None else ""
        texts[found.metric.field] = number(found.mean.compute(), found.metric.decimals) + share
        penalised[found.metric.field] = number(found.penalised, found.metric.decimals)
    ours = {report.model: texts, f"{report.model}, lost faces penalised": penalised}
    tables = SELF_TABLES if report.protocol.has_truth else CROSS_TABLES
    return [(table, rows_beside(table, ours)) for table in tables]


def titled(metric: Metric) -> str:
    """The metric's title, with the direction in which it is better."""
    signs = {True: " ↓", False: " ↑", None: " → 1"}
    return metric.title + signs[metric.lower_is_better]


def cells(found: Tally) -> list[str]:
    """A metric's cells under `COLUMNS`."""
    digits = found.metric.decimals
    return [
        titled(found.metric),
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
