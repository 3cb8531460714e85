"""Times animation: the straightforward way beside each engine, interleaved, each in a process of its own.

Own processes, because peak memory is one number per process and engines would share its threads and caches.
"""

import multiprocessing as mp
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from dagan.errors import UserError
from dagan.inference.animator import Animator
from dagan.inference.bench_subject import Subject, Way, count, peak_of
from dagan.runtime.engine import Precision, Runtime
from dagan.runtime.samples import portrait_frames

NAIVE = "naive"  # everything per frame, float32, no caching, contiguous memory: as a demo script does it
NUM_DRIVING = 6  # different driving frames, repeated
NUM_COMPARED = 2  # frames on which outputs are compared


class Timing(NamedTuple):
    """One mode. Times are per frame; `cpu` is of all cores together, and steadier on a shared machine.

    `difference` (largest, of values in [0, 1]) and `agreement` (PSNR in dB) compare with the naive picture.
    """

    mode: str
    milliseconds: float
    cpu: float
    peak_mib: float
    first_frame_s: float
    difference: float
    agreement: float
    gigamacs: float
    floor: float  # milliseconds: multiply-adds over the measured peak of the precision


class Round(NamedTuple):
    seconds: float
    cpu_seconds: float


def measure(subject: Subject, modes: Sequence[str], num_rounds: int, num_frames: int) -> list[Timing]:
    """The naive way, then `modes` such as openvino:bf16, in interleaved rounds of `num_frames` (naive: a quarter)."""
    peaks = {precision: peak_of(precision, subject.num_threads) for precision in {_precision(mode) for mode in modes}}
    workers = {mode: _Worker(subject, mode) for mode in (NAIVE, *modes)}
    try:
        rounds: dict[str, list[Round]] = {mode: [] for mode in workers}
        for index in range(num_rounds + 1):
            for mode, worker in workers.items():
                taken = worker.run(max(1, num_frames // 4) if mode == NAIVE else num_frames)
                if index > 0:  # the first warms up
                    rounds[mode].append(taken)
        reference = workers[NAIVE].pictures
        peaks.setdefault("fp32", peak_of("fp32", subject.num_threads))
        gigamacs = {way: count(subject, way) for way in {_way(mode) for mode in workers}}
        return [
            _timing(mode, rounds[mode], worker, reference, gigamacs[_way(mode)], peaks[_precision(mode)])
            for mode, worker in workers.items()
        ]
    finally:
        for worker in workers.values():
            worker.close()


class _Worker:
    """A process that holds one mode, and times it when told to."""

    def __init__(self, subject: Subject, mode: str) -> None:
        context = mp.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, subject, mode), daemon=True)
        self._process.start()
        theirs.close()
        self.first_frame_s, self.pictures = cast(tuple[float, np.ndarray], self._receive())

    def run(self, num_frames: int) -> Round:
        self._pipe.send(num_frames)
        taken, self.peak_mib = cast(tuple[Round, float], self._receive())
        return taken

    def close(self) -> None:
        self._pipe.close()  # its end of file ends the process
        self._process.join(10)

    def _receive(self) -> object:
        """Raises UserError with what went wrong over there."""
        try:
            received = self._pipe.recv()
        except EOFError as error:
            raise UserError("a process of the bench ended early; run it again with --debug") from error
        if isinstance(received, str):
            raise UserError(received)
        return received


def _work(pipe: Connection, subject: Subject, mode: str) -> None:
    try:
        torch.set_num_threads(subject.num_threads)
        started = time.perf_counter()
        perform, picture = _naive(subject) if mode == NAIVE else _engine(subject, mode)
        pictures = np.concatenate(
            [picture(frame) for frame in portrait_frames(subject.size, NUM_DRIVING)[1][:NUM_COMPARED]]
        )
        pipe.send((time.perf_counter() - started, pictures))
        while True:
            num_frames = pipe.recv()
            wall, cpu = time.perf_counter(), time.process_time()
            perform(num_frames)
            taken = Round((time.perf_counter() - wall) / num_frames, (time.process_time() - cpu) / num_frames)
            pipe.send((taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
    except EOFError:
        return
    except UserError as error:
        pipe.send(str(error))


Mode = tuple[Callable[[int], None], Callable[[Tensor], np.ndarray]]  # so many frames; one frame's picture


def _naive(subject: Subject) -> Mode:
    model = subject.build()
    source, driving = portrait_frames(subject.size, NUM_DRIVING)

    @torch.inference_mode()
    def picture(frame: Tensor) -> np.ndarray:
        rendered: Tensor = model.render(model.view(source), model.view(frame).keypoints).generated
        return rendered.numpy()

    def perform(num_frames: int) -> None:
        for index in range(num_frames):
            picture(driving[index % NUM_DRIVING])

    return perform, picture


def _engine(subject: Subject, mode: str) -> Mode:
    runtime, precision = mode.split(":")
    image, driving = portrait_frames(subject.size, NUM_DRIVING)
    animator = Animator(subject.build(), cast(Runtime, runtime), cast(Precision, precision))
    animator.set_source(image)
    engine = animator.prepare()

    def perform(num_frames: int) -> None:
        for _ in animator.stream(driving[index % NUM_DRIVING] for index in range(num_frames)):
            pass

    @torch.inference_mode()
    def picture(frame: Tensor) -> np.ndarray:
        return engine.picture(engine.keypoints(frame)).float().cpu().numpy()

    return perform, picture


def _way(mode: str) -> Way:
    """What a mode computes; NNPACK's filtering inside of PyTorch is not counted."""
    if mode == NAIVE:
        return "everything"
    return "winograd" if mode == "openvino:fp32" else "folded"


def _precision(mode: str) -> str:
    return mode.split(":")[1] if ":" in mode else "fp32"


def _timing(
    mode: str, rounds: Sequence[Round], worker: _Worker, reference: np.ndarray, gigamacs: float, peak: float
) -> Timing:
    wall, cpu = (statistics.median(getattr(one, name) for one in rounds) * 1e3 for name in Round._fields)
    apart = np.abs(worker.pictures - reference)
    agreement = -10 * np.log10(max(float(np.square(apart).mean()), 1e-12))
    floor = gigamacs / peak * 1e3
    return Timing(
        mode, wall, cpu, worker.peak_mib, worker.first_frame_s, float(apart.max()), agreement, gigamacs, floor
    )
