"""PyTorch as an engine: the folded model, channels last, in float32 or with convolutions in bfloat16."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dagan.models.family import Family
from dagan.nn.layout import channels_last
from dagan.runtime.engine import Precision, Runtime
from dagan.runtime.fold import fold
from dagan.runtime.graphs import KeypointGraph, LayersGraph, flat_appearance, flat_points, signature_of
from dagan.types import Layers

# Where Winograd's transform (by NNPACK, in PyTorch) beats the direct convolution: wide, and not too small.
WINOGRAD_CHANNELS = 128
WINOGRAD_PIXELS = 1024


class TorchEngine:
    """The model folded, on its device. One worker: PyTorch spreads each operation over the cores itself."""

    name: Runtime = "torch"
    num_workers = 1

    def __init__(self, model: Family, source: Any, precision: Precision, num_threads: int) -> None:
        self._device = source.image.device
        self.precision = precision
        if num_threads:
            torch.set_num_threads(num_threads)
        folded = fold(model, source.image.shape[-1])
        change_convolutions_of(folded, HalfConv if self.precision == "bf16" else _winograd_where_faster)
        channels_last(folded)
        self._signature = signature_of(source)
        self._see, self._draw = (graph(folded, self._signature) for graph in (KeypointGraph, LayersGraph))
        self._source: tuple[Tensor, ...] = ()

    def set_source(self, source: Any) -> None:
        image = source.image.contiguous(memory_format=torch.channels_last)
        self._source = (image, *flat_points(source.code), *flat_appearance(source))

    @torch.inference_mode()
    def keypoints(self, frame: Float[Tensor, "1 3 h w"]) -> Any:
        placed = frame.to(self._device, memory_format=torch.channels_last, non_blocking=True)
        return self._signature.gathered(self._signature.code, self._see(placed))

    @torch.inference_mode()
    def layers(self, driving: Any) -> Layers:
        return Layers(*self._draw(*flat_points(driving), *self._source))


class HalfConv(nn.Module):
    """A convolution in bfloat16, whatever comes in."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv.to(torch.bfloat16)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        convolved: Tensor = self.conv(x.to(torch.bfloat16))
        return convolved


class WinogradConv(nn.Module):
    """A 3x3 convolution of one float32 image by Winograd's F(6x6, 3x3): a fifth of the multiplications.

    PyTorch carries NNPACK, which has it, and chooses it rarely. Equal to about 1e-5 of the largest output.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        if len(x) > 1 or x.shape[2] * x.shape[3] < WINOGRAD_PIXELS:
            return F.conv2d(x, self.conv.weight, self.conv.bias, padding=1)
        plain, weight = x.contiguous(), self.conv.weight.contiguous()
        return torch._nnpack_spatial_convolution(plain, weight, self.conv.bias, (1, 1), (1, 1))


def _winograd_where_faster(conv: nn.Conv2d) -> nn.Module:
    wide = min(conv.in_channels, conv.out_channels) >= WINOGRAD_CHANNELS
    plain = conv.kernel_size == (3, 3) and conv.stride == (1, 1) and conv.padding == (1, 1)
    usable = conv.weight.device.type == "cpu" and torch.backends.nnpack.is_available()  # type: ignore[no-untyped-call]
    return WinogradConv(conv) if wide and plain and usable else conv


def change_convolutions_of(model: Family, change: Callable[[nn.Conv2d], nn.Module]) -> None:
    """`change_convolutions` of all networks but the face reader, whose places are good to a tenth of a pixel."""
    for name, part in model.named_children():
        if name != "face_reader":
            change_convolutions(part, change)


def change_convolutions(module: nn.Module, change: Callable[[nn.Conv2d], nn.Module]) -> None:
    """Puts `change(convolution)` in the place of each convolution of a module."""
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d):
            setattr(module, name, change(child))
        else:
            change_convolutions(child, change)
