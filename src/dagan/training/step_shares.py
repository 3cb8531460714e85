"""Which network takes what part of a training step, forward and backward, from PyTorch's profiler."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function

from dagan.training.forward import GenerationNetworks

LABEL = "dagan: "
REST = "losses, geometry and the rest"
OPTIMISER = "optimisers"
BACKWARD = "autograd::engine::evaluate_function: "


class PartTime(NamedTuple):
    """Seconds of one part of the step."""

    forward: float
    backward: float

    @property
    def seconds(self) -> float:
        return self.forward + self.backward


def parts_of_step(networks: GenerationNetworks) -> dict[str, nn.Module]:
    """The networks of a step by the names that they have in the report; those a preset lacks are left out."""
    model = networks.model
    generator = model.generator
    named = {
        "depth (F_d)": model.depth,
        "keypoints (F_kp)": model.keypoints,
        "motion": model.motion,
        "encoders": generator.encoder,
        "depth encoder": generator.depth_encoder,
        "attention": generator.refine,
        "decoder": generator.decoder,
        "perceptual loss (VGG)": networks.perceptual,
        "discriminator": networks.discriminator,
    }
    return {name: part for name, part in named.items() if part is not None}


def measure_shares(
    networks: GenerationNetworks, step: Callable[[], object], device: torch.device
) -> dict[str, PartTime]:
    """The parts of one call of `step`. Times are the device's; profiling itself makes a CPU step a little slower."""
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device.type == "cuda")
    with _labelled(parts_of_step(networks)), profile(activities=activities) as profiler:
        step()
        if device.type == "cuda":
            torch.cuda.synchronize()
    return _sum_by_label(list(profiler.events() or ()), device)


@contextmanager
def _labelled(parts: dict[str, nn.Module]) -> Iterator[None]:
    """Puts every forward of the parts into a range of its name."""
    handles = []
    for name, part in parts.items():
        ranges: list[Any] = []

        def enter(*_: object, name: str = name, ranges: list[Any] = ranges) -> None:
            ranges.append(record_function(LABEL + name))
            ranges[-1].__enter__()

        def leave(*_: object, ranges: list[Any] = ranges) -> None:
            ranges.pop().__exit__(None, None, None)

        handles += [part.register_forward_pre_hook(enter), part.register_forward_hook(leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _sum_by_label(events: Sequence[FunctionEvent], device: torch.device) -> dict[str, PartTime]:
    """Forward time by range; backward time by the range in which a node of the graph was made.

    A node and the operation that made it have the same sequence number; of several operations with one number it is the
    last to start, since those before it made none.
    """

    def on_device(event: FunctionEvent) -> float:
        return float(event.device_time_total if device.type == "cuda" else event.cpu_time_total)

    forward: dict[str, float] = {REST: 0.0}
    backward: dict[str, float] = {}
    made: dict[int, tuple[float, str]] = {}
    for event in events:
        label = _label_of(event)
        if event.name.startswith(BACKWARD) or _is_below(event, BACKWARD):
            continue
        if event.name.startswith(LABEL):
            if event.cpu_parent is None or _label_of(event.cpu_parent) == REST:
                forward[label] = forward.get(label, 0.0) + on_device(event)
        elif event.name.startswith("Optimizer.step"):
            forward[OPTIMISER] = forward.get(OPTIMISER, 0.0) + on_device(event)
        elif event.cpu_parent is None:
            forward[REST] += on_device(event)
        if event.sequence_nr >= 0 and event.time_range.start >= made.get(event.sequence_nr, (-1.0, ""))[0]:
            made[event.sequence_nr] = event.time_range.start, label
    for event in events:
        if event.name.startswith(BACKWARD):
            label = made.get(event.sequence_nr, (0.0, REST))[1]
            backward[label] = backward.get(label, 0.0) + on_device(event)
    names = sorted(forward.keys() | backward.keys(), key=lambda n: -(forward.get(n, 0) + backward.get(n, 0)))
    return {name: PartTime(forward.get(name, 0.0) / 1e6, backward.get(name, 0.0) / 1e6) for name in names}


def _label_of(event: FunctionEvent) -> str:
    """The outermost range that the event is in."""
    label = REST
    at: FunctionEvent | None = event
    while at is not None:
        label = at.name.removeprefix(LABEL) if at.name.startswith(LABEL) else label
        at = at.cpu_parent
    return label


def _is_below(event: FunctionEvent, prefix: str) -> bool:
    at = event.cpu_parent
    while at is not None:
        if at.name.startswith(prefix):
            return True
        at = at.cpu_parent
    return False
