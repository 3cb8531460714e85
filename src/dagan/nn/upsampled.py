"""A 3x3 convolution of an image enlarged twofold by repeating pixels, without enlarging it.

Each output pixel sees only 2x2 different input pixels, so the nine taps are four sums of taps, one set for each of
the four places of an output pixel inside its input pixel: 4/9 of the multiplications, and no enlarged tensor.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

WORTHWHILE = 4096  # output pixels of a batch below which summing the taps costs more than it saves
# Along one axis the first place sees its left neighbour with tap 0 and its own pixel with taps 1 and 2, the second its
# own with taps 0 and 1 and its right neighbour with tap 2.
SUMS = (((1, 0, 0), (0, 1, 1)), ((1, 1, 0), (0, 0, 1)))  # place, pixel seen, tap


class UpsampledConv(nn.Conv2d):
    """Convolution 3x3 with padding 1 of the input enlarged to a size by nearest neighbours.

    In training, twofold enlargement of enough pixels is done in quarters, which is the same sum in another order;
    inference keeps the written order, to the last digit of published results.
    """

    summing: Tensor

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(in_channels, out_channels, 3, padding=1)
        self.worthwhile = WORTHWHILE
        sums = torch.tensor(SUMS, dtype=torch.float32)
        both = torch.einsum("pqi, rsj -> prqsij", sums, sums)  # row place, column place, row seen, column seen, taps
        self.register_buffer("summing", both.reshape(16, 9), persistent=False)

    def forward(  # type: ignore[override]
        self, x: Float[Tensor, "b c h w"], size: tuple[int, int]
    ) -> Float[Tensor, "b d H W"]:
        twofold = size == (2 * x.shape[2], 2 * x.shape[3])
        if self.training and twofold and len(x) * size[0] * size[1] >= self.worthwhile:
            return self.in_quarters(x)
        return super().forward(F.interpolate(x, size, mode="nearest"))

    def in_quarters(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d H W"]:
        """Of `x` enlarged twofold."""
        bias = self.bias.repeat(4) if self.bias is not None else None
        quarters = F.conv2d(x, self._summed_taps(x), bias, padding=1)  # b (4 d) h+1 w+1
        woven: Tensor = _Weave.apply(quarters)  # type: ignore[no-untyped-call]
        return woven

    def _summed_taps(self, x: Tensor) -> Float[Tensor, "d4 c 2 2"]:
        """The 2x2 taps of each place, summed in the weights' precision; channels last."""
        device = x.device.type
        precision = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else self.weight.dtype
        with torch.autocast(device, enabled=False):
            taps = rearrange(self.weight, "d c i j -> d (i j) c")
            sums = rearrange(self.summing @ taps, "d (p i j) c -> p d i j c", p=4, i=2)
            ordered = sums.to(precision).contiguous()  # one copy for order and precision
        return rearrange(ordered, "p d i j c -> (p d) c i j")


class _Weave(torch.autograd.Function):
    """Puts the four places' maps (each with one row and column too many) into the pixels of one image.

    Output pixel (2 i + p, 2 j + q) is that of place (p, q) at (i + p, j + q): one strided copy, each way.
    """

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, quarters: Tensor) -> Tensor:
        quarters = quarters.contiguous(memory_format=torch.channels_last)
        ctx.shape = quarters.shape  # type: ignore[attr-defined]
        return rearrange(_places(quarters).contiguous(), "b i p j q d -> b d (i p) (j q)")

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
        quarters = gradient.new_zeros(ctx.shape).contiguous(memory_format=torch.channels_last)  # type: ignore[attr-defined]
        _places(quarters).copy_(rearrange(gradient, "b d (i p) (j q) -> b i p j q d", p=2, q=2))
        return quarters


def _places(quarters: Float[Tensor, "b c h w"]) -> Float[Tensor, "b i p j q d"]:
    """A view of channels-last quarters in the order of the output's pixels."""
    batch, channels, height, width = quarters.shape
    depth = channels // 4
    item, row, column = height * width * channels, width * channels, channels
    return quarters.as_strided(
        (batch, height - 1, 2, width - 1, 2, depth), (item, row, row + 2 * depth, column, column + depth, 1)
    )
