"""How fast a step of stage 2 is, beside the straightforward step of the same model, measured in turn."""

import copy
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from tqdm import tqdm

from dagan.losses.objective import Objective
from dagan.losses.perceptual import PerceptualLoss
from dagan.losses.values import PairBatch
from dagan.models.discriminator import DiscriminatorConfig
from dagan.models.talking_head import TalkingHeadConfig
from dagan.nn.upsampled import UpsampledConv
from dagan.nn.vgg import VGG
from dagan.training.allocator import keep_freed_memory, return_freed_memory
from dagan.training.forward import GenerationNetworks
from dagan.training.generation_stage import StepResult, compile_networks, generation_optimizers, generation_step
from dagan.training.step import StepConfig
from dagan.training.step_shares import PartTime, measure_shares

Batches = Iterator[PairBatch]


@dataclass(frozen=True, kw_only=True)
class StepBench:
    """What is measured. `straightforward`: the other step, too; `perceptual_side` as in `dagan train`."""

    model: TalkingHeadConfig
    discriminator: DiscriminatorConfig
    objective: tuple[tuple[str, float], ...]
    precision: torch.dtype
    batch_size: int = 4
    image_size: int = 256
    perceptual_side: int | None = None
    rounds: int = 3
    straightforward: bool = True
    compiled: bool = False


class StepTimes(NamedTuple):
    """Seconds of each round, medians to be taken; bytes at the most. `straightforward` is empty when not asked for.

    `processor` are the processor's seconds of our step and of the other: what is left when other programs run beside.
    """

    step: list[float]
    data_wait: list[float]
    straightforward: list[float]
    processor: tuple[list[float], list[float]]
    memory: int
    shares: dict[str, PartTime]

    @property
    def ratio(self) -> float | None:
        """How many times the straightforward step's samples/s."""
        if not self.straightforward:
            return None
        return statistics.median(self.straightforward) / statistics.median(self.step)

    @property
    def processor_ratio(self) -> float | None:
        """The same of the processor's seconds."""
        ours, theirs = self.processor
        return statistics.median(theirs) / statistics.median(ours) if theirs else None


class Seconds(NamedTuple):
    """Of the clock, and of all threads of this process."""

    clock: float
    processor: float


def measure_step(bench: StepBench, vgg: VGG, batches: Batches | None, device: torch.device) -> StepTimes:
    """Both steps by turns, then the shares of one more step.

    A turn is an untimed step and a timed one, as in a training, where a step finds memory and caches as the same step
    before it has left them.

    Random images stand for clips when `batches` is None. Peak memory is read before the straightforward step exists:
    on a CPU it is the process's (with Python and PyTorch), on a GPU that of its tensors.
    """
    torch.manual_seed(0)
    perceptual = PerceptualLoss(vgg, max_side=bench.perceptual_side)
    networks = GenerationNetworks(bench.model.build(), bench.discriminator.build(), perceptual)
    plain = copy.deepcopy(networks) if bench.straightforward else None
    ours = our_step(networks.to(device), bench)
    source = batches if batches is not None else random_batches(bench, device)
    waits: list[float] = []

    def run_ours() -> None:
        began = time.perf_counter()
        batch = next(source)
        waits.append(time.perf_counter() - began)
        keep_freed_memory()
        ours(_moved(batch, device, torch.channels_last))

    total = 2 * bench.rounds * (1 + bench.straightforward) + 2
    with tqdm(total=total, desc="steps", leave=False, disable=None) as bar:
        _timed(run_ours, device, bar)
        memory = _peak_memory(device)
        theirs = straightforward_step(plain.to(device), bench) if plain is not None else None
        fixed = _moved(next(random_batches(bench, device)), device, torch.contiguous_format)
        step: list[Seconds] = []
        straightforward: list[Seconds] = []
        wait = []
        for _ in range(bench.rounds):
            _timed(run_ours, device, bar)
            step.append(_timed(run_ours, device, bar))
            wait.append(waits[-1])
            if theirs is not None:
                _timed(lambda: theirs(fixed), device, bar)
                straightforward.append(_timed(lambda: theirs(fixed), device, bar))
        shares = measure_shares(networks, run_ours, device)
        bar.update()
    return StepTimes(
        [seconds.clock - waited for seconds, waited in zip(step, wait, strict=True)],
        wait,
        [seconds.clock for seconds in straightforward],
        ([seconds.processor for seconds in step], [seconds.processor for seconds in straightforward]),
        memory,
        shares,
    )


def our_step(networks: GenerationNetworks, bench: StepBench) -> Callable[[PairBatch], StepResult]:
    """The step as `dagan train` makes it."""
    networks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if bench.compiled:
        compile_networks(networks)
    optimizers, objective = generation_optimizers(networks), Objective(bench.objective)
    config = StepConfig(precision=bench.precision)
    return lambda batch: generation_step(networks, optimizers, objective, batch, config)


def straightforward_step(networks: GenerationNetworks, bench: StepBench) -> Callable[[PairBatch], StepResult]:
    """The step as one writes it down: everything in float32, channels first, eager, with glibc's own memory settings.

    Up blocks convolve the enlarged image, and the convolutions' weights are what they are. The rest is what anybody
    does: real features of VGG without graph, F_d once per image, Adam. It runs through the
    same code as ours, so that it also has what that code saves in any precision (one pass for distances of features,
    jacobians without their maps, the fused Adam): the ratio counts none of that.
    """
    networks.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    for module in networks.modules():
        if isinstance(module, UpsampledConv):
            module.worthwhile = 2**62  # never
    optimizers, objective = generation_optimizers(networks), Objective(bench.objective)

    def step(batch: PairBatch) -> StepResult:
        return_freed_memory()
        return generation_step(networks, optimizers, objective, batch, StepConfig())

    return step


def random_batches(bench: StepBench, device: torch.device) -> Batches:
    """The same pair of smooth random images, again and again: what is in them does not matter to the time."""
    coarse = torch.rand(2, bench.batch_size, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    size = (bench.image_size, bench.image_size)
    source, driving = (nn.functional.interpolate(image, size, mode="bilinear").to(device) for image in coarse)
    while True:
        yield PairBatch(source, driving)


def _moved(batch: PairBatch, device: torch.device, layout: torch.memory_format) -> PairBatch:
    source, driving = (
        image.to(device, non_blocking=True).contiguous(memory_format=layout) for image in (batch.source, batch.driving)
    )
    return batch._replace(source=source, driving=driving)


def _timed(run: Callable[[], object], device: torch.device, bar: "tqdm[object]") -> Seconds:
    began = Seconds(time.perf_counter(), time.process_time())
    run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    bar.update()
    return Seconds(time.perf_counter() - began.clock, time.process_time() - began.processor)


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
