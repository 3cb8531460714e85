"""Convolutions whose weights never change: cast once, where autocast would cast them again at every call."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class FrozenConv2d(nn.Conv2d):
    """A convolution that keeps its weights in each precision it is called in; its parameters take no gradient.

    Autocast remembers the casts of parameters that are trained, not those of others. Loading a state and moving to
    a device are noticed; weights must not be changed in place otherwise.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, padding: int = 0):
        super().__init__(in_channels, out_channels, kernel, padding=padding)
        self.requires_grad_(False)
        self.casts: dict[torch.dtype, tuple[Tensor, Tensor | None]] = {}

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        device = x.device.type
        precision = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else self.weight.dtype
        weight, bias = self._in(precision)
        return F.conv2d(x.to(precision), weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def _in(self, precision: torch.dtype) -> tuple[Tensor, Tensor | None]:
        if precision == self.weight.dtype:
            return self.weight, self.bias
        if precision not in self.casts:
            bias = self.bias.detach().to(precision) if self.bias is not None else None
            self.casts[precision] = self.weight.detach().to(precision), bias
        return self.casts[precision]

    def _apply(self, *args: Any, **kwargs: Any) -> "FrozenConv2d":
        self.casts.clear()
        super()._apply(*args, **kwargs)  # type: ignore[no-untyped-call]
        return self

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self.casts.clear()
        super()._load_from_state_dict(*args, **kwargs)
