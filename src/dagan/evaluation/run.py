"""System x pairs -> report, in one process, several or a cluster. An interrupted evaluation continues."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from dagan.errors import UserError
from dagan.evaluation.evaluator import Evaluator, EvaluatorConfig
from dagan.evaluation.job import JobResult, do_job
from dagan.evaluation.metrics.frechet import GaussianSums
from dagan.evaluation.pairs import EvaluationProtocol, Job, Selection, select_pairs
from dagan.evaluation.progress_file import ProgressFile
from dagan.evaluation.records import SkippedClip
from dagan.evaluation.report import Frechet, Report
from dagan.evaluation.systems import System, SystemConfig
from dagan.observers.faces import ObserverVersion
from dagan.workers import Workers

Progress = Callable[[int, int, int], None]  # jobs done, jobs in all, pairs done


class Plan(NamedTuple):
    """Everything that a worker process needs, as values. `notes` are for the report."""

    jobs: tuple[Job, ...]
    protocol: EvaluationProtocol
    system: SystemConfig
    evaluator: EvaluatorConfig
    notes: tuple[str, ...] = ()


def make_plan(selection: Selection, system: SystemConfig, evaluator: EvaluatorConfig) -> Plan:
    """The plan that evaluates a system on a selection of pairs. Raises UserError as `select_pairs`."""
    jobs, protocol, notes = select_pairs(selection)
    return Plan(jobs, protocol, system, evaluator, notes)


def evaluate(
    plan: Plan,
    *,
    workers: Workers | None = None,
    threads: int | None = None,
    progress_file: Path | None = None,
    progress: Progress | None = None,
    system: System | None = None,
) -> Report:
    """The report of a plan. With `progress_file` an interrupted evaluation continues with the jobs that are left.

    The evaluator is built here in any case, because the report names it; each of `workers` (None: this process) builds
    its own, with that many `threads`. `system`: the plan's, if it is built already.

    Raises:
        UserError: there are no pairs, or the system or the evaluator cannot be used.
    """
    fingerprint = plan.system.fingerprint()
    with plan.evaluator.build() as evaluator:
        observers = evaluator.versions()
        finished = ProgressFile(progress_file, key_of(plan, observers, fingerprint))
        known = {result.job for result in finished.done}
        todo = [index for index in range(len(plan.jobs)) if index not in known]
        if workers is not None and len(todo) > 1:
            results = workers.run(Evaluating(plan, threads), todo)
        else:
            system = system or plan.system.build(plan.protocol.motion)
            results = do_here(plan, todo, system, evaluator)
        _record(results, finished, len(plan.jobs), progress)
        return assemble(plan, fingerprint, evaluator, finished.done)


def key_of(plan: Plan, observers: dict[str, ObserverVersion], fingerprint: str) -> str:
    """Identifies an evaluation: it changes with the system, the pairs, their files and the evaluator."""
    facts = (fingerprint, plan.protocol, sorted(observers.items()), [repr(job) for job in plan.jobs])
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _record(results: Iterable[JobResult], finished: ProgressFile, total: int, progress: Progress | None) -> None:
    num_pairs = sum(len(result.samples) for result in finished.done)
    for result in results:
        finished.add(result)
        num_pairs += len(result.samples)
        if progress is not None:
            progress(len(finished.done), total, num_pairs)


def assemble(plan: Plan, fingerprint: str, evaluator: Evaluator, results: Iterable[JobResult]) -> Report:
    """The report of these results, in the order of their jobs.

    Raises:
        UserError: no job gave a pair, or the system gave no image for any pair.
    """
    ordered = sorted(results, key=lambda result: result.job)
    samples = tuple(sample for result in ordered for sample in result.samples)
    skipped: tuple[SkippedClip, ...] = tuple(result.skipped for result in ordered if result.skipped is not None)
    if not samples:
        first = f": {skipped[0].clip} ({skipped[0].reason}); {len(skipped)} clips skipped in all" if skipped else ""
        raise UserError(f"no pairs to evaluate{first}")
    if not any(sample.has_image for sample in samples):
        raise UserError(f"{plan.system.name} has no image for any of {len(samples)} pairs, such as {samples[0].key}")
    changed = sum(result.num_changed for result in ordered)
    notes = (f"{changed} frames differ from the sha256 in the pair list",) if changed else ()
    return Report(
        model=plan.system.name,
        fingerprint=fingerprint,
        protocol=plan.protocol,
        observers=evaluator.versions(),
        unmeasured=evaluator.unmeasured,
        samples=samples,
        skipped=skipped,
        frechet=_frechet(ordered) if plan.protocol.has_truth else None,
        notes=plan.notes + notes,
        motions=tuple(result.motion for result in ordered if result.motion is not None),
    )


def _frechet(results: Iterable[JobResult]) -> Frechet | None:
    """From the features of all pairs that have an image; None where they were not measured."""
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


def do_here(plan: Plan, todo: Sequence[int], system: System, evaluator: Evaluator) -> Iterator[JobResult]:
    """The jobs with these indices, one after the other."""
    return (do_job(index, plan.jobs[index], plan.protocol, system, evaluator) for index in todo)


@dataclass(frozen=True)
class Evaluating:
    """What a worker does: the jobs of a plan by their indices, with a system and an evaluator of its own."""

    plan: Plan
    threads: int | None

    @contextmanager
    def open(self) -> Iterator[Callable[[int], JobResult]]:
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        plan, system = self.plan, self.plan.system.build(self.plan.protocol.motion)
        with plan.evaluator.build() as evaluator:
            yield lambda index: do_job(index, plan.jobs[index], plan.protocol, system, evaluator)
