"""A folded model with its large convolutions in 8-bit whole numbers, as runtimes recognise it.

Weights: 255 levels for each output channel. What a convolution sees: 256 levels up to the mean of the largest values
that were seen while the model ran on calibration images, from 0 where nothing negative was seen. Written in PyTorch's
own fake quantization, so the quantized model can be run and measured here; runtimes compute it in integers.

Kept in floats: whatever places keypoints or pixels (a face reader, heatmaps, jacobians, the motion's mask and
occlusion, disparity), whatever sees the image itself, and the attention.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dagan.models.family import Family
from dagan.runtime.fold import FoldedUpBlock
from dagan.runtime.narrow import NarrowConv

WEIGHT_LEVEL = 127  # largest level of a weight
SENSITIVE = re.compile(r"face_reader|heatmap|jacobian|motion\.(mask|occlusion)|heads|refine")
LOOKED_AT = 5  # every so many values of a tensor
OUTSIDE = 1e-4  # share of the values that may lie beyond a clipped range, and become its end
MIN_CHANNELS = 8  # fewer are an image, or cost nothing


class Range(NamedTuple):
    """Sums over `tensors` of their smallest and largest values; means of these let no picture make all coarse.

    `clips` leaves a few values outside: right for a decoder, whose largest values are noise (2 dB finer); wrong for
    keypoints and motion, whose largest values are what was found.
    """

    low: float = 0.0
    high: float = 0.0
    tensors: int = 0
    clips: bool = False

    def joined(self, x: Tensor) -> "Range":
        low, high = _ends(x.flatten()[::LOOKED_AT]) if self.clips else x.aminmax()
        return Range(self.low + min(0.0, float(low)), self.high + float(high), self.tensors + 1, self.clips)

    @property
    def means(self) -> tuple[float, float]:
        return self.low / max(1, self.tensors), self.high / max(1, self.tensors)


def _ends(values: Float[Tensor, " n"]) -> tuple[Tensor, Tensor]:
    beyond = max(1, round(len(values) * OUTSIDE))
    return -(-values).topk(beyond).values[-1], values.topk(beyond).values[-1]


class Quantizer(nn.Module):
    """Rounds to 256 levels: of 0 to `high`, or alike on both sides of zero when there are negative values."""

    def __init__(self, seen: Range) -> None:
        super().__init__()
        low, high = seen.means
        self.first, self.last = (-128, 127) if low < 0 else (0, 255)
        self.step = max(-low, high, 1e-6) / self.last

    def forward(self, x: Tensor) -> Tensor:
        return torch.fake_quantize_per_tensor_affine(x, self.step, 0, self.first, self.last)


class QuantizedConv(nn.Module):
    """A convolution with rounded weights, of what `quantizer` lets through."""

    step: Tensor
    zero: Tensor

    def __init__(self, conv: nn.Conv2d, quantizer: nn.Module) -> None:
        super().__init__()
        self.conv, self.quantizer = conv, quantizer
        self.register_buffer("step", conv.weight.abs().amax((1, 2, 3)).clamp_min(1e-12) / WEIGHT_LEVEL)
        self.register_buffer("zero", torch.zeros(conv.out_channels, dtype=torch.int32))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        weight = torch.fake_quantize_per_channel_affine(
            self.conv.weight, self.step, self.zero, 0, -WEIGHT_LEVEL, WEIGHT_LEVEL
        )
        conv = self.conv
        return F.conv2d(self.quantizer(x), weight, conv.bias, conv.stride, conv.padding, conv.dilation)


@torch.no_grad()
def quantize(folded: Family, calibrate: Callable[[Family], None]) -> Family:
    """Changes a folded model in place: ranges are those seen while `calibrate` runs it."""
    chosen = dict(_chosen(folded, ""))
    seen = {name: Range(clips=name.startswith("generator")) for name in chosen}

    def watch(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def widen(_: nn.Module, inputs: tuple[Any, ...]) -> None:
            seen[name] = seen[name].joined(inputs[0])

        return widen

    hooks = [module.register_forward_pre_hook(watch(name)) for name, module in chosen.items()]
    try:
        calibrate(folded)
    finally:
        for hook in hooks:
            hook.remove()
    for name, module in chosen.items():
        _replace(folded, name, module, Quantizer(seen[name]))
    return folded


def _chosen(module: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    """Convolutions to quantize, and enlarging blocks, whose four convolutions share what they see."""
    for name, child in module.named_children():
        path = f"{prefix}{name}"
        if SENSITIVE.search(path):
            continue
        if isinstance(child, NarrowConv):
            yield f"{path}.wide", child.wide
        elif isinstance(child, FoldedUpBlock) or (isinstance(child, nn.Conv2d) and child.in_channels >= MIN_CHANNELS):
            yield path, child
        else:
            yield from _chosen(child, f"{path}.")


def _replace(model: nn.Module, name: str, module: nn.Module, quantizer: Quantizer) -> None:
    if isinstance(module, FoldedUpBlock):
        module.seen = quantizer
        for index, place in enumerate(module.places):
            conv = place.wide if isinstance(place, NarrowConv) else place
            assert isinstance(conv, nn.Conv2d)
            rounded = QuantizedConv(conv, nn.Identity())
            if isinstance(place, NarrowConv):
                place.wide = rounded
            else:
                module.places[index] = rounded
    else:
        assert isinstance(module, nn.Conv2d)
        parent, _, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, QuantizedConv(module, quantizer))
