"""One job of an evaluation: the frames of its pairs are loaded, the system generates, the evaluator scores."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from dagan.data.clips import Clip, fit_square
from dagan.data.protocols import Frame, ReenactmentPair, chosen_frames, frame_sha256
from dagan.errors import UserError
from dagan.evaluation.evaluator import Evaluator
from dagan.evaluation.metrics.temporal import ClipMotion, Watched
from dagan.evaluation.pairs import RELATIVE, EvaluationProtocol, Job, Motion, WholeVideo
from dagan.evaluation.records import Sample, SkippedClip
from dagan.evaluation.scoring import Scored, score_pair
from dagan.evaluation.systems import PairImages, Resting, System

Frames = dict[tuple[str, int], UInt8[np.ndarray, "size size 3"]]  # by path of the clip and number of the frame


class JobResult(NamedTuple):
    """The samples of one job, or the reason why there are none.

    `job` is its place among the jobs; `features` as in `Scored`, for each sample. `motion` is of a clip of which every
    frame was generated.
    """

    job: int
    samples: tuple[Sample, ...]
    skipped: SkippedClip | None = None
    features: Float[np.ndarray, "n 3 d"] | None = None
    num_changed: int = 0  # frames whose pixels are not those that the pair list states
    motion: ClipMotion | None = None


def do_job(index: int, job: Job, protocol: EvaluationProtocol, system: System, evaluator: Evaluator) -> JobResult:
    """All pairs of one job. Its frames are in memory together; an unreadable clip is skipped with the reason.

    Raises:
        UserError: the system cannot choose rest frames, or complains about a pair.
    """
    if protocol.motion == "from best" and not isinstance(system, Resting):
        raise UserError("--rest best needs a model that chooses the frame; use --rest first for generated images")
    try:
        pairs = job.pairs()
        frames, changed = _load([frame for pair in pairs for frame in frames_of(pair)], protocol.size)
        if protocol.motion in RELATIVE:
            pairs = tuple(_with_rest(pair, frames, system, protocol.motion) for pair in pairs)
            frames |= _load([pair.rest for pair in pairs if pair.rest is not None], protocol.size)[0]
    except UserError as error:
        return JobResult(index, (), SkippedClip(job.name, str(error)))
    watched = _watched(job, pairs, frames, evaluator)
    scored = [_do_pair(pair, frames, protocol, system, evaluator, watched) for pair in pairs]
    features = [found.features for found in scored if found.features is not None]
    stacked = np.stack(features) if features else None
    motion = watched.result(job.name) if watched is not None else None
    return JobResult(index, tuple(found.sample for found in scored), None, stacked, changed, motion)


def _watched(job: Job, pairs: Sequence[ReenactmentPair], frames: Frames, evaluator: Evaluator) -> Watched | None:
    """What gathers the pictures of a whole video in order, if every frame is generated."""
    if evaluator.matte is None or not isinstance(job, WholeVideo) or job.every != 1 or not pairs:
        return None
    return Watched(evaluator.matte(evaluator.look(frames[_place(pairs[0].source)]).image))


def _with_rest(pair: ReenactmentPair, frames: Frames, system: System, motion: Motion) -> ReenactmentPair:
    """The pair with the frame from which motion is measured: the source, the driver's first, or the system's choice."""
    if motion == "from source":
        return pair._replace(rest=pair.source)
    number = 0
    if motion == "from best" and isinstance(system, Resting):
        number = system.rest_frame(pair, frames[_place(pair.source)])
    return pair._replace(rest=Frame(pair.driving.clip, number))


def _do_pair(
    pair: ReenactmentPair,
    frames: Frames,
    protocol: EvaluationProtocol,
    system: System,
    evaluator: Evaluator,
    watched: Watched | None,
) -> Scored:
    images = _images(pair, frames)
    generated = system.generate(pair, images)
    if watched is not None and generated is not None and evaluator.matte is not None:
        ours, true = evaluator.look(generated), evaluator.look(images.driving)
        watched.add(ours.image, true.image, (ours.mesh, true.mesh), evaluator.matte(true.image))
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
    """Every frame once, at `size` pixels, and how many differ from the sha256 that their list states."""
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
