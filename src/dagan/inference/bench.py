"""Times animation: the straightforward way beside each engine, interleaved, each in a process of its own.

Own processes, because peak memory is one number per process and engines would share its threads and caches.
"""

import multiprocessing as mp
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.resources import files
from multiprocessing.connection import Connection
from typing import NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from dagan.errors import UserError
from dagan.inference.engines import Precision, Runtime, build_engine
from dagan.models.fold import fold
from dagan.models.graphs import KeypointGraph, PictureGraph, flat_appearance, flat_keypoints, signature_of
from dagan.models.talking_head import TalkingHead
from dagan.models.weights import load
from dagan.presets import PRESETS

NAIVE = "naive"  # everything per frame, float32, no caching, contiguous memory: as a demo script does it
NUM_DRIVING = 6  # different driving frames, repeated
NUM_COMPARED = 2  # frames on which outputs are compared


class Subject(NamedTuple):
    """What is timed: the bundled lite weights, or a preset with random ones, at one image size."""

    preset: str
    size: int
    num_threads: int

    def build(self) -> TalkingHead:
        """Raises UserError for a name that is no preset."""
        if self.preset == "lite":
            return load()
        if self.preset not in PRESETS:
            raise UserError(f"no preset {self.preset}; one of {', '.join(PRESETS)}")
        torch.manual_seed(0)
        return PRESETS[self.preset].build().eval()


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
        naive, ours = count(subject)
        return [
            _timing(mode, rounds[mode], worker, reference, naive if mode == NAIVE else ours, peaks[_precision(mode)])
            for mode, worker in workers.items()
        ]
    finally:
        for worker in workers.values():
            worker.close()


def peak_of(precision: str, num_threads: int) -> float:
    """Multiply-adds per second, in billions, of a 3x3 convolution of 256 channels at 64x64, channels last."""
    torch.set_num_threads(num_threads)
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    conv = nn.Conv2d(256, 256, 3, padding=1).to(kind, memory_format=torch.channels_last)  # type: ignore[call-overload]
    image = torch.rand(4, 256, 64, 64).to(kind).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        best = min(_seconds(lambda: conv(image)) for _ in range(4))
    return float(4 * 256 * 256 * 9 * 64 * 64 / best / 1e9)


@torch.inference_mode()
def count(subject: Subject) -> tuple[float, float]:
    """Multiply-adds per frame, in billions: everything per frame, and what is left when folded and cached."""
    model = subject.build()
    image = frames_for(subject.size)[0]
    source = model.encode(model.view(image))
    folded, signature = fold(model, subject.size), signature_of(source)
    see, draw = KeypointGraph(folded, signature), PictureGraph(folded, signature)
    points = flat_keypoints(source.keypoints)
    kept = (image, *points, *flat_appearance(source))
    return _gigamacs(lambda: model(image, image)), _gigamacs(lambda: (see(image), draw(*points, *kept)))


def frames_for(size: int) -> tuple[Float[Tensor, "1 3 h w"], list[Float[Tensor, "1 3 h w"]]]:
    """The bundled portrait, and driving frames: it, moved sideways."""
    from dagan.inference.crop import apply_crop, crop_for_image
    from dagan.inference.video import read_image

    photo = read_image(str(files("dagan") / "assets" / "astronaut.png"))
    crop = crop_for_image(photo, "auto")
    moved = [crop._replace(x=crop.x + 2 * index) for index in range(NUM_DRIVING)]
    image, *driving = (apply_crop(photo, place, size)[None] for place in (crop, *moved))
    return image, driving


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
        pictures = np.concatenate([picture(frame) for frame in frames_for(subject.size)[1][:NUM_COMPARED]])
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
    source, driving = frames_for(subject.size)

    @torch.inference_mode()
    def picture(frame: Tensor) -> np.ndarray:
        rendered: Tensor = model(source, frame).generated
        return rendered.numpy()

    def perform(num_frames: int) -> None:
        for index in range(num_frames):
            picture(driving[index % NUM_DRIVING])

    return perform, picture


def _engine(subject: Subject, mode: str) -> Mode:
    from dagan.inference.performance import Performer

    runtime, precision = mode.split(":")
    model = subject.build()
    image, driving = frames_for(subject.size)
    with torch.inference_mode():
        source = model.encode(model.view(image))
        engine = build_engine(model, source, cast(Runtime, runtime), cast(Precision, precision), subject.num_threads)
    performer = Performer(model, engine, source)

    def perform(num_frames: int) -> None:
        for _ in performer.stream(driving[index % NUM_DRIVING] for index in range(num_frames)):
            pass

    @torch.inference_mode()
    def picture(frame: Tensor) -> np.ndarray:
        return engine.picture(engine.keypoints(frame)).float().cpu().numpy()

    return perform, picture


def _gigamacs(call: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops() / 2e9)


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


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
