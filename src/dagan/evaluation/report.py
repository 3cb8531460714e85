"""Per-sample records and the table made of them: every mean stands beside the number of pairs it leaves out."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from dagan.evaluation.metrics.expression import Change, Correlation
from dagan.evaluation.metrics.mean import Mean
from dagan.evaluation.observers import ObserverVersion

ABSENT = "-"


class Scores(NamedTuple):
    """One image against the driving frame. None: a face of the pair was not found."""

    l1: float
    ssim: float
    psnr: float
    landmark_distance: float | None
    head_pose_error: float | None


class Faces(NamedTuple):
    """Where a face was found."""

    generated: bool
    driving: bool
    source: bool


class Expression(NamedTuple):
    """Changes of expression from the source to the driving and to the generated image."""

    jaw_opening: Change
    eye_closing: Change


class Sample(NamedTuple):
    """The record of one pair: the generated image and the unmoved source, each scored against the driving frame."""

    clip: str
    identity: str
    source: int
    driving: int
    generated: Scores
    unmoved: Scores
    faces: Faces
    expression: Expression | None


class SkippedClip(NamedTuple):
    """A clip that gave no pairs, and why."""

    clip: str
    reason: str


class PairProtocol(NamedTuple):
    """How the pairs were drawn: enough to draw them again."""

    name: str
    pairs_per_clip: int
    min_gap: int
    seed: int
    size: int


class Metric(NamedTuple):
    """A column of the table: how it is called, in which unit, and where it is in `Scores`."""

    title: str
    decimals: int
    lower_is_better: bool
    value: Callable[[Scores], float | None]


METRICS = (
    Metric("L1 ([0, 1])", 4, True, lambda scores: scores.l1),
    Metric("landmark distance (px)", 2, True, lambda scores: scores.landmark_distance),
    Metric("head-pose error (degrees)", 2, True, lambda scores: scores.head_pose_error),
    Metric("SSIM", 4, False, lambda scores: scores.ssim),
    Metric("PSNR (dB)", 2, False, lambda scores: scores.psnr),
)
EXPRESSIONS: tuple[tuple[str, Callable[[Expression], Change]], ...] = (
    ("jaw opening", lambda expression: expression.jaw_opening),
    ("eye closing", lambda expression: expression.eye_closing),
)


class Comparison(NamedTuple):
    """One metric of the generated images beside that of the unmoved sources, over the pairs where both are measured."""

    metric: Metric
    generated: Mean
    unmoved: Mean

    @property
    def ratio(self) -> float | None:
        """Mean of the generated images over mean of the unmoved sources, below 1 when moving helped; None for metrics
        where higher is better, and when nothing was measured."""
        generated, unmoved = self.generated.compute(), self.unmoved.compute()
        if not self.metric.lower_is_better or generated is None or not unmoved:
            return None
        return generated / unmoved

    def row(self) -> str:
        """This metric's line of the Markdown table."""
        digits = self.metric.decimals
        means = [_number(mean.compute(), digits) for mean in (self.generated, self.unmoved)]
        counts = [str(self.generated.count), str(self.generated.num_missing)]
        return _row([self.metric.title, *means, _number(self.ratio, 3), *counts])


@dataclass(frozen=True, kw_only=True)
class Report:
    """What an evaluation found: every record, the clips that gave none, and the ruler that was used."""

    model: str
    protocol: PairProtocol
    observer: ObserverVersion
    samples: tuple[Sample, ...]
    skipped: tuple[SkippedClip, ...]

    def comparisons(self) -> list[Comparison]:
        """One per metric; a pair counts when it is measured both for the generated image and for the unmoved source."""
        return [_compare(metric, self.samples) for metric in METRICS]

    def comparison(self, name: str) -> Comparison:
        """The comparison whose title starts with `name`, such as "L1"."""
        return next(comparison for comparison in self.comparisons() if comparison.metric.title.startswith(name))

    def correlations(self) -> dict[str, Correlation]:
        """How well expressions follow the driver's, by name."""
        found: dict[str, Correlation] = {}
        for name, change in EXPRESSIONS:
            found[name] = Correlation()
            for sample in self.samples:
                found[name].add(change(sample.expression) if sample.expression else None)
        return found

    def num_missing_faces(self) -> dict[str, int]:
        """How many generated, driving and source images show no face that the observer finds."""
        return {name: sum(not getattr(s.faces, name) for s in self.samples) for name in Faces._fields}

    def to_markdown(self) -> str:
        """The table with counts, readable as plain text."""
        header = ["metric", "generated", "unmoved source", "ratio", "pairs", "not measured"]
        lines = [_row(header), "| --- |" + " ---: |" * 5, *(comparison.row() for comparison in self.comparisons())]
        clips = len({sample.clip for sample in self.samples})
        missing = ", ".join(f"{count} {name}" for name, count in self.num_missing_faces().items())
        follows = (f"{name} {_number(c.compute(), 2)} ({c.count} pairs)" for name, c in self.correlations().items())
        lines += [
            "",
            f"- model: {self.model}",
            f"- {self.protocol.name}: {len(self.samples)} pairs of {clips} clips, at most "
            f"{self.protocol.pairs_per_clip} a clip, at least {self.protocol.min_gap} frames apart, seed "
            f"{self.protocol.seed}, {self.protocol.size}x{self.protocol.size} pixels",
            f"- images without a face: {missing} (of {len(self.samples)} each)",
            f"- expression follows the driver, correlation of changes: {', '.join(follows)}",
            f"- observer: {self.observer.name}, {self.observer.software}, weights {self.observer.weights_sha256[:12]}",
        ]
        if self.skipped:
            reasons = "; ".join(f"{skipped.clip} ({skipped.reason})" for skipped in self.skipped)
            lines.append(f"- {len(self.skipped)} clips skipped: {reasons}")
        return "\n".join(lines) + "\n"

    def to_json(self) -> str:
        """Everything, the records included; numbers in full, None as null."""
        summary = {
            comparison.metric.title: {
                "generated": comparison.generated.compute(),
                "unmoved": comparison.unmoved.compute(),
                "ratio": comparison.ratio,
                "num_pairs": comparison.generated.count,
                "num_missing": comparison.generated.num_missing,
            }
            for comparison in self.comparisons()
        }
        correlations = {
            name: {"correlation": c.compute(), "num_pairs": c.count, "num_missing": c.num_missing}
            for name, c in self.correlations().items()
        }
        whole = {
            "model": self.model,
            "protocol": self.protocol,
            "observer": self.observer,
            "summary": summary,
            "missing_faces": self.num_missing_faces(),
            "expression": correlations,
            "skipped": self.skipped,
            "samples": self.samples,
        }
        return json.dumps(_plain(whole), indent=1, allow_nan=False) + "\n"


def _compare(metric: Metric, samples: Iterable[Sample]) -> Comparison:
    comparison = Comparison(metric, Mean(), Mean())
    for sample in samples:
        generated, unmoved = metric.value(sample.generated), metric.value(sample.unmoved)
        both = generated is not None and unmoved is not None
        comparison.generated.add(generated if both else None)
        comparison.unmoved.add(unmoved if both else None)
    return comparison


def _number(value: float | None, decimals: int) -> str:
    return ABSENT if value is None else f"{value:.{decimals}f}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(value: Any) -> Any:
    """NamedTuples as dictionaries, all the way down: the json module would write them as lists."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, tuple | list) else value
