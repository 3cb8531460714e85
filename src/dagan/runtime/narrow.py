"""A convolution to few channels as one to more channels at every second or fourth pixel.

Processors compute output channels 16 at a time, so a convolution to 3 wastes most of its work. Here the outputs of
f x f neighbouring pixels are channels of one convolution with stride f, whose kernel is larger by f - 1 and zero where
a pixel does not look. The same sums; a 7x7 convolution of 64 channels to 3 takes 24 ms in place of 66 (256x256, one
core).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

LANES = 16  # output channels computed together
FACTORS = (2, 4)
WORTHWHILE = 0.75  # of the plain cost; a little gain is not worth another step


def factor_for(conv: nn.Conv2d) -> int:
    """How many pixels along each axis to compute at once; 1: leave the convolution alone."""
    if (
        conv.stride != (1, 1)
        or conv.kernel_size[0] != conv.kernel_size[1]
        or conv.kernel_size[0] == 1
        or conv.groups > 1
    ):
        return 1
    best = min(FACTORS, key=lambda factor: _cost(conv, factor))
    return best if _cost(conv, best) < WORTHWHILE * _cost(conv, 1) else 1


def _cost(conv: nn.Conv2d, factor: int) -> float:
    """Multiplications per output pixel and input channel, with channels that are computed for nothing."""
    computed = -(-conv.out_channels * factor**2 // LANES) * LANES
    return (conv.kernel_size[0] + factor - 1) ** 2 * computed / factor**2


class NarrowConv(nn.Module):
    """`conv` for `factor` x `factor` pixels at a time; sizes that do not divide are left to `conv` itself."""

    def __init__(self, conv: nn.Conv2d, factor: int) -> None:
        super().__init__()
        self.conv, self.factor = conv, factor
        self.lost = conv.kernel_size[0] - 1 - 2 * int(conv.padding[0])  # pixels by which the result is smaller
        (kernel, _), channels, narrow = conv.kernel_size, conv.in_channels, conv.out_channels
        wide = nn.Conv2d(channels, narrow * factor**2, kernel + factor - 1, stride=factor, padding=int(conv.padding[0]))
        weight = torch.zeros(narrow, factor, factor, channels, *wide.kernel_size)
        for row in range(factor):
            for column in range(factor):
                weight[:, row, column, :, row : row + kernel, column : column + kernel] = conv.weight
        wide.weight = nn.Parameter(weight.flatten(0, 2), requires_grad=False)
        wide.bias = (
            None if conv.bias is None else nn.Parameter(conv.bias.repeat_interleave(factor**2), requires_grad=False)
        )
        self.wide: nn.Module = wide  # a quantized model puts its own here

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        if any((side - self.lost) % self.factor for side in x.shape[2:]):
            convolved: Tensor = self.conv(x)
            return convolved
        return F.pixel_shuffle(self.wide(x), self.factor)
