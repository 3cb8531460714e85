"""System x jobs -> report, in this process or in several; interrupted runs are taken up where they stopped."""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path

import torch

from dagan.data.clips import find_clips
from dagan.data.protocols import MIN_GAP, SEED
from dagan.errors import UserError
from dagan.evaluation.evaluator import Evaluator, EvaluatorConfig
from dagan.evaluation.jobs import PAIRS_PER_CLIP, SIZE, self_protocol, self_reenactment
from dagan.evaluation.ledger import Ledger, key_of
from dagan.evaluation.metrics.frechet import GaussianSums
from dagan.evaluation.model_systems import Model, system_of
from dagan.evaluation.records import SkippedClip
from dagan.evaluation.report import Frechet, Report
from dagan.evaluation.systems import System
from dagan.evaluation.work import JobResult, Plan, do_here, do_in_processes, do_job

Progress = Callable[[int, int, int], None]  # jobs done, jobs in all, pairs done


def evaluate_self_reenactment(
    model: Model,
    clips_root: str | Path,
    *,
    model_name: str = "model",
    pairs_per_clip: int = PAIRS_PER_CLIP,
    min_gap: int = MIN_GAP,
    seed: int = SEED,
    size: int = SIZE,
    limit: int | None = None,
    device: torch.device | str = "cpu",
    evaluator: Evaluator | None = None,
    progress: Progress | None = None,
) -> Report:
    """Source and driving frame are of one clip, so the driving frame is the truth; keypoints are taken absolutely.

    The model must be on `device` and in eval mode. Frames that are not `size` x `size` are cut to their central square
    and resized. One clip is in memory at a time. `limit` takes the first clips only, in the order of their names.

    Raises:
        UserError: no clips, no clip long enough for one pair, no MediaPipe, or a model whose images are not finite.
    """
    protocol = self_protocol(pairs_per_clip, min_gap, seed, size)
    jobs = self_reenactment(find_clips(clips_root)[:limit], protocol)
    system, results = system_of(model, device), []
    with nullcontext(evaluator) if evaluator is not None else EvaluatorConfig().build() as eyes:
        for index, job in enumerate(jobs):
            results.append(do_job(index, job, protocol, system, eyes))
            if progress is not None:
                progress(len(results), len(jobs), sum(len(result.samples) for result in results))
        shell = Report(model=model_name, protocol=protocol, observers=eyes.versions(), samples=())
        return assemble(shell, results, eyes.unavailable)


def evaluate(
    plan: Plan,
    *,
    num_workers: int = 1,
    ledger_file: Path | None = None,
    progress: Progress | None = None,
    system: System | None = None,
) -> Report:
    """Any system on any pairs. With `ledger_file` a run that was stopped continues with the jobs that are left.

    The evaluator is built here in any case, so that a report names it; with several workers each has its own as well.
    `system`: the plan's, if it is built already; several workers build their own.

    Raises:
        UserError: no pairs at all, or what the system or the evaluator complains about.
    """
    fingerprint = plan.system.fingerprint()
    with plan.evaluator.build() as evaluator:
        observers = evaluator.versions()
        ledger = Ledger(ledger_file, key_of(plan, observers, fingerprint))
        finished = {result.job for result in ledger.done}
        todo = [index for index in range(len(plan.jobs)) if index not in finished]
        if num_workers > 1 and len(todo) > 1:
            results = do_in_processes(plan, todo, min(num_workers, len(todo)))
        else:
            system = system or plan.system.build(plan.protocol.rest)
            results = do_here(plan, todo, system, evaluator) if todo else iter(())
        _record(results, ledger, len(plan.jobs), progress)
        shell = Report(
            model=plan.system.name,
            protocol=plan.protocol,
            observers=observers,
            samples=(),
            fingerprint=fingerprint,
            notes=plan.notes,
        )
        report = assemble(shell, ledger.done, evaluator.unavailable)
    return report


def _record(results: Iterable[JobResult], ledger: Ledger, total: int, progress: Progress | None) -> None:
    num_pairs = sum(len(result.samples) for result in ledger.done)
    for result in results:
        ledger.add(result)
        num_pairs += len(result.samples)
        if progress is not None:
            progress(len(ledger.done), total, num_pairs)


def assemble(shell: Report, results: Iterable[JobResult], notes: tuple[str, ...] = ()) -> Report:
    """The report of these results, in the order of their jobs; `shell` says whose they are.

    Raises:
        UserError: no job gave a pair, or the system gave no image for any.
    """
    ordered = sorted(results, key=lambda result: result.job)
    samples = tuple(sample for result in ordered for sample in result.samples)
    skipped: tuple[SkippedClip, ...] = tuple(result.skipped for result in ordered if result.skipped is not None)
    if not samples:
        first = f": {skipped[0].clip} ({skipped[0].reason}), and {len(skipped)} in all" if skipped else ""
        raise UserError(f"no pairs to evaluate{first}")
    if not any(sample.has_image for sample in samples):
        raise UserError(f"{shell.model} has no image for any of {len(samples)} pairs, such as {samples[0].key}")
    changed = sum(result.num_changed for result in ordered)
    if changed:
        notes += (f"{changed} frames decode to other pixels than the pair list states",)
    return Report(
        model=shell.model,
        protocol=shell.protocol,
        observers=shell.observers,
        samples=samples,
        skipped=shell.skipped + skipped,
        frechet=_frechet(ordered) if shell.protocol.has_truth else None,
        fingerprint=shell.fingerprint,
        notes=shell.notes + notes,
    )


def _frechet(results: Iterable[JobResult]) -> Frechet | None:
    """Sums of every job are merged; features are kept by job only."""
    sums: list[GaussianSums] = []
    for result in results:
        if result.features is not None:
            found = [GaussianSums.of(result.features[:, place]) for place in range(3)]  # generated, driving, source
            sums = [a.merge(b) for a, b in zip(sums, found, strict=True)] if sums else found
    if not sums:
        return None
    generated, driving, source = sums
    ours, still = generated.distance(driving), source.distance(driving)
    return Frechet(ours, still, generated.count) if ours is not None and still is not None else None
