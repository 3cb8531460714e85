"""Is the evaluator straight? Images of known quality stand in for generated ones: every metric must rank them."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from dagan.evaluation.published import row
from dagan.evaluation.records import METRICS, Metric, Sample
from dagan.evaluation.report import Report, number
from dagan.evaluation.run import Progress, evaluate
from dagan.evaluation.systems import OTHER_PERSON, PIECES, TestPiece
from dagan.evaluation.tally import Tally, tally, worst_value
from dagan.evaluation.work import Plan

DRIVING, BLURRED, UNMOVED, BLACK = PIECES
Tiers = tuple[tuple[str, ...], ...]  # best first; pieces of one tier are not compared

PIXELS: Tiers = ((DRIVING,), (BLURRED,), (UNMOVED,), (OTHER_PERSON, BLACK))
PERCEPTION: Tiers = ((DRIVING,), (BLURRED, UNMOVED), (OTHER_PERSON,), (BLACK,))  # a blur is far away for LPIPS
MOTION: Tiers = ((DRIVING,), (BLURRED,), (UNMOVED,), (OTHER_PERSON,), (BLACK,))
PERSON: Tiers = ((DRIVING,), (BLURRED, UNMOVED), (OTHER_PERSON,), (BLACK,))
SOURCE_PERSON: Tiers = ((UNMOVED,), (DRIVING, BLURRED), (OTHER_PERSON,), (BLACK,))  # CSIM looks at the source
MUST: dict[str, Tiers] = {
    "l1": PIXELS,
    "ssim": PIXELS,
    "psnr": PIXELS,
    "lpips": PERCEPTION,
    "landmark_distance": MOTION,
    "akd": MOTION,
    "head_pose_error": MOTION,
    "aed": PERSON,
    "csim": SOURCE_PERSON,
    "aucon": MOTION,
}
# What a perfect image scores; PSNR is capped. CSIM's best is the source's own.
PERFECT = {"l1": 0.0, "ssim": 1.0, "psnr": 100.0, "lpips": 0.0, "landmark_distance": 0.0, "akd": 0.0, "aed": 0.0}
PERFECT |= {"head_pose_error": 0.0, "aucon": 1.0}
EXACT = 1e-4  # rounding of float32 sums


class EvaluatorCheck(NamedTuple):
    """Every piece's numbers by metric, with one penalty for all, and what is not as it must be."""

    tallies: dict[str, dict[str, Tally]]  # by field of `Scores`, then by piece
    violations: tuple[str, ...]

    def to_markdown(self) -> str:
        """Pieces by metrics: the mean, in brackets the mean with lost faces penalised where it differs."""
        metrics = [metric for metric in METRICS if metric.field in self.tallies]
        names = list(self.tallies[metrics[0].field])
        heads = [metric.title + (" ↓" if metric.lower_is_better else " ↑") for metric in metrics]
        lines = [row(["in the place of the generated image", *heads]), "| --- |" + " ---: |" * len(heads)]
        for name in names:
            lines.append(row([name, *(_cell(self.tallies[metric.field][name]) for metric in metrics)]))
        verdict = (
            ["Every rank is as it must be."] if not self.violations else [f"- WRONG: {v}" for v in self.violations]
        )
        return "\n".join([*lines, "", *verdict]) + "\n"


def run_pieces(
    plan: Plan, clips: str, num_workers: int = 1, progress: Callable[[str], Progress] | None = None
) -> dict[str, Report]:
    """Each piece on the pairs of a plan, whose system does not matter; `clips` holds other people."""
    reports = {}
    for name in (*PIECES, OTHER_PERSON):
        piece = TestPiece(name=name, clips=clips, size=plan.protocol.size)
        told = progress(name) if progress is not None else None
        reports[name] = evaluate(plan._replace(system=piece), num_workers=num_workers, progress=told)
    return reports


def check(reports: Mapping[str, Report]) -> EvaluatorCheck:
    """Ranks by the penalised mean, with the worst value of all pieces as the penalty."""
    metrics = next(iter(reports.values())).metrics()
    samples = [sample for report in reports.values() for sample in report.samples]
    tallies = {metric.field: _tallies(metric, reports, samples) for metric in metrics}
    violations = [v for metric in metrics for v in _violations(metric, tallies[metric.field])]
    return EvaluatorCheck(tallies, tuple(violations))


def _tallies(metric: Metric, reports: Mapping[str, Report], samples: list[Sample]) -> dict[str, Tally]:
    worst = worst_value(metric, samples)
    return {name: tally(metric, report.samples, worst) for name, report in reports.items()}


def _violations(metric: Metric, tallies: Mapping[str, Tally]) -> list[str]:
    found = []
    values = {name: tally.penalised for name, tally in tallies.items()}
    tiers = MUST[metric.field]
    for place, tier in enumerate(tiers):
        worse_ones = [worse for later in tiers[place + 1 :] for worse in later]
        for better in tier:
            found += [
                f"{metric.title}: {better} ({_text(values[better])}) is not better than {worse} "
                f"({_text(values[worse])})"
                for worse in worse_ones
                if not _is_better(metric, values[better], values[worse])
            ]
    perfect = PERFECT.get(metric.field)
    value = values[DRIVING]
    if perfect is not None and (value is None or abs(value - perfect) > EXACT):
        found.append(f"{metric.title}: the driving frame itself scores {_text(value)}, not {perfect}")
    return found


def _is_better(metric: Metric, better: float | None, worse: float | None) -> bool:
    if better is None or worse is None:
        return False
    return better < worse if metric.lower_is_better else better > worse


def _text(value: float | None) -> str:
    return number(value, 4)


def _cell(found: Tally) -> str:
    digits = found.metric.decimals
    mean, penalised = number(found.mean.compute(), digits), number(found.penalised, digits)
    return mean if mean == penalised else f"{mean} ({penalised})"
