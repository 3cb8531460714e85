"""Doing the jobs: in this process or in several, each with its own system and evaluator."""

import multiprocessing
import queue
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8

from dagan.data.clips import Clip, fit_square
from dagan.data.protocols import Frame, ReenactmentPair, chosen_frames, frame_sha256
from dagan.errors import UserError
from dagan.evaluation.evaluator import Evaluator, EvaluatorConfig
from dagan.evaluation.jobs import Job, PairProtocol, RestFrames
from dagan.evaluation.records import Sample, SkippedClip
from dagan.evaluation.scoring import ScoredPair, score_pair
from dagan.evaluation.systems import PairImages, Resting, System, SystemConfig
from dagan.observers.faces import ObserverVersion

Frames = dict[tuple[str, int], UInt8[np.ndarray, "size size 3"]]  # by path of the clip and number of the frame
PATIENCE = 2.0  # seconds between looks whether the workers still live


class JobResult(NamedTuple):
    """What came of one job: samples, or the reason why there are none.

    `job` is its place in the plan; `features` as in `ScoredPair`, for each sample.
    """

    job: int
    samples: tuple[Sample, ...]
    skipped: SkippedClip | None = None
    features: Float[np.ndarray, "n 3 d"] | None = None
    num_changed: int = 0  # frames whose pixels are not those that the pair list states


class Plan(NamedTuple):
    """Everything a worker needs, all of it values; `notes` are for the report."""

    jobs: tuple[Job, ...]
    protocol: PairProtocol
    system: SystemConfig
    evaluator: EvaluatorConfig
    notes: tuple[str, ...] = ()


class EvaluatorFacts(NamedTuple):
    """What a report says of the evaluator."""

    observers: dict[str, ObserverVersion]
    unavailable: tuple[str, ...]


def do_job(index: int, job: Job, protocol: PairProtocol, system: System, evaluator: Evaluator) -> JobResult:
    """All pairs of one job. Only the frames of its pairs are in memory; what cannot be read is skipped with a reason.

    Raises:
        UserError: the system cannot choose rest frames, or complains about a pair.
    """
    if protocol.rest == "best" and not isinstance(system, Resting):
        raise UserError("which rest frames another system chose is not known: add --rest first, and let it do so")
    try:
        pairs = job.pairs()
        frames, changed = _load([frame for pair in pairs for frame in frames_of(pair)], protocol.size)
        if protocol.rest:
            pairs = tuple(_with_rest(pair, frames, system, protocol.rest) for pair in pairs)
            frames |= _load([pair.rest for pair in pairs if pair.rest is not None], protocol.size)[0]
    except UserError as error:
        return JobResult(index, (), SkippedClip(job.name, str(error)))
    scored = [_do_pair(pair, frames, protocol, system, evaluator) for pair in pairs]
    features = [found.features for found in scored if found.features is not None]
    stacked = np.stack(features) if features else None
    return JobResult(index, tuple(found.sample for found in scored), None, stacked, changed)


def _with_rest(pair: ReenactmentPair, frames: Frames, system: System, rest: RestFrames) -> ReenactmentPair:
    """The pair with the frame of its driver from which motion is measured: the first, or the system's choice."""
    number = 0
    if rest == "best" and isinstance(system, Resting):
        number = system.rest_frame(pair, frames[_place(pair.source)])
    return pair._replace(rest=Frame(pair.driving.clip, number))


def _do_pair(
    pair: ReenactmentPair, frames: Frames, protocol: PairProtocol, system: System, evaluator: Evaluator
) -> ScoredPair:
    images = _images(pair, frames)
    generated = system.generate(pair, images)
    return score_pair(pair, images, generated, evaluator, protocol.has_truth)


def load_pair(pair: ReenactmentPair, size: int) -> PairImages:
    """The frames of one pair. Raises UserError when they cannot be read."""
    frames, _ = _load(frames_of(pair), size)
    return _images(pair, frames)


def frames_of(pair: ReenactmentPair) -> list[Frame]:
    """Source, driving and, where motion is relative, rest frame."""
    return [pair.source, pair.driving] if pair.rest is None else [pair.source, pair.driving, pair.rest]


def _images(pair: ReenactmentPair, frames: Frames) -> PairImages:
    return PairImages(*(frames[_place(frame)] for frame in frames_of(pair)))


def _place(frame: Frame) -> tuple[str, int]:
    return str(frame.clip.path), frame.number


def _load(frames: Iterable[Frame], size: int) -> tuple[Frames, int]:
    """Every frame once, at `size` pixels, and how many are not the ones that their list describes."""
    wanted: dict[Clip, dict[int, str | None]] = {}
    for frame in frames:
        wanted.setdefault(frame.clip, {})[frame.number] = frame.sha256
    loaded, changed = {}, 0
    for clip, hashes in wanted.items():
        for index, pixels in chosen_frames(clip, hashes):
            stated = hashes[index]
            changed += stated is not None and frame_sha256(pixels) != stated
            loaded[str(clip.path), index] = fit_square(pixels, size)
    return loaded, changed


def do_here(plan: Plan, todo: Sequence[int], system: System, evaluator: Evaluator) -> Iterator[JobResult]:
    """The jobs of these indices, one after the other."""
    return (do_job(index, plan.jobs[index], plan.protocol, system, evaluator) for index in todo)


def do_in_processes(plan: Plan, todo: Sequence[int], num_workers: int) -> Iterator[JobResult]:
    """The same jobs in several processes, in the order in which they finish.

    Raises:
        UserError: what a worker's model or evaluator complained about.
        RuntimeError: a worker failed otherwise; its traceback is on stderr.
    """
    context = multiprocessing.get_context("spawn")  # forking a process that has run torch or MediaPipe may hang it
    indices: Any = context.Queue()
    results: Any = context.Queue()
    for index in [*todo, *[None] * num_workers]:
        indices.put(index)
    threads = max(1, torch.get_num_threads() // num_workers)
    workers = [
        context.Process(target=_work, args=(plan, indices, results, threads), daemon=True) for _ in range(num_workers)
    ]
    for worker in workers:
        worker.start()
    try:
        for _ in todo:
            yield _next_result(results, workers)
    finally:
        for worker in workers:
            if worker.is_alive():
                worker.join(PATIENCE)
                worker.terminate()


def _next_result(results: Any, workers: Sequence[BaseProcess]) -> JobResult:
    while True:
        try:
            found: JobResult | UserError = results.get(timeout=PATIENCE)
        except queue.Empty:
            if any(worker.exitcode not in (None, 0) for worker in workers):
                raise RuntimeError("an evaluation worker ended unexpectedly; see its message above") from None
            continue
        if isinstance(found, UserError):
            raise found
        return found


def _work(plan: Plan, indices: Any, results: Any, num_threads: int) -> None:
    """A worker: takes indices until it meets None."""
    torch.set_num_threads(num_threads)
    try:
        system = plan.system.build(plan.protocol.rest)
        with plan.evaluator.build() as evaluator:
            while (index := indices.get()) is not None:
                results.put(do_job(index, plan.jobs[index], plan.protocol, system, evaluator))
    except UserError as error:
        results.put(error)
