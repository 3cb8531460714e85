"""What `dagan bench animate` times, and what its times are held against: the arithmetic of a frame, and the peak."""

import time
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dagan.data.drawn_faces import drawn_clip
from dagan.errors import UserError
from dagan.models.refine import Gate
from dagan.models.talking_head import TalkingHead
from dagan.models.weights import load
from dagan.presets import PRESETS
from dagan.runtime.fold import fold
from dagan.runtime.graphs import KeypointGraph, PictureGraph, flat_appearance, flat_points, signature_of
from dagan.runtime.samples import portrait_frames

SETTLING_SIZE = 128  # pixels of the images with which random weights are made lifelike
CONTRAST = 1.5  # standard deviation of the picture before the sigmoid, as in photographs
Way = Literal["everything", "folded", "winograd"]  # of computing a frame


class Subject(NamedTuple):
    """What is timed: the bundled lite weights, or a preset with random ones (`make_lifelike`), at one image size."""

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
        return make_lifelike(PRESETS[self.preset].build(), self.num_threads)


@torch.no_grad()
def make_lifelike(model: TalkingHead, num_threads: int) -> TalkingHead:
    """Random weights of a generator made to behave as trained ones do, so that precisions can be compared.

    Its batch norms know what they see, its gate is open, and pictures have a photograph's contrast. Untouched random
    weights give pictures of one grey, which agree in any precision. The networks before it keep their start, which is
    no motion. On one thread, so that the weights are always the same.
    """
    image, driving = portrait_frames(SETTLING_SIZE, 2)
    torch.set_num_threads(1)
    for module in model.generator.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean of what it sees
        if isinstance(module, Gate):
            module.gamma.fill_(1)
    drawn = torch.from_numpy(drawn_clip(1, SETTLING_SIZE, 0)[0].transpose(2, 0, 1)[None].copy()) / 255
    model.eval().generator.train()
    seen = torch.cat([image, driving[0] * 0.6, drawn])
    model(seen, seen)
    model.eval()
    last, logits = model.generator.decoder.last, []
    if isinstance(last, nn.Conv2d):
        hook = last.register_forward_hook(lambda _module, _inputs, output: logits.append(output))
        model(image, driving[1])
        hook.remove()
        last.weight *= CONTRAST / logits[0].std()
    torch.set_num_threads(num_threads)
    return model


def peak_of(precision: str, num_threads: int) -> float:
    """Multiply-adds per second, in billions, of a 3x3 convolution of 256 channels at 64x64, channels last.

    In int8 of the matrix product that it is: PyTorch has no convolution there.
    """
    torch.set_num_threads(num_threads)
    if precision == "int8":
        ours, theirs = (
            torch.randint(-128, 128, shape, dtype=torch.int8) for shape in ((4 * 64 * 64, 2304), (2304, 256))
        )
        best = min(_seconds(lambda: torch._int_mm(ours, theirs)) for _ in range(4))
        return float(4 * 256 * 256 * 9 * 64 * 64 / best / 1e9)
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    conv = nn.Conv2d(256, 256, 3, padding=1).to(kind, memory_format=torch.channels_last)  # type: ignore[call-overload]
    image = torch.rand(4, 256, 64, 64).to(kind).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        best = min(_seconds(lambda: conv(image)) for _ in range(4))
    return float(4 * 256 * 256 * 9 * 64 * 64 / best / 1e9)


@torch.inference_mode()
def count(subject: Subject, way: Way) -> float:
    """Multiply-adds per frame, in billions: everything, or what is left when folded and cached, or with Winograd's."""
    model = subject.build()
    image, _ = portrait_frames(subject.size, 0)
    if way == "everything":
        return _gigamacs(lambda: model.render(model.view(image), model.view(image).keypoints))
    source = model.encode(model.view(image))
    folded = fold(model, subject.size, narrow=False, winograd=way == "winograd")
    signature = signature_of(source)
    see, draw = KeypointGraph(folded, signature), PictureGraph(folded, signature)
    points = flat_points(source.keypoints)
    kept = (image, *points, *flat_appearance(source))
    return _gigamacs(lambda: (see(image), draw(*points, *kept)))


def _gigamacs(call: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops() / 2e9)


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
