"""The block vocabulary of Fig. 11: same, down, up and residual blocks, and anti-aliased resizing."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from dagan.nn.upsampled import UpsampledConv


class SameBlock(nn.Module):
    """Convolution k x k, batch norm, ReLU; the size stays."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h w"]:
        return F.relu(self.norm(self.conv(x)), inplace=True)


class DownBlock(SameBlock):
    """Convolution 3x3, batch norm, ReLU, 2x2 average pool (Fig. 11d)."""

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        return F.avg_pool2d(super().forward(x), 2, ceil_mode=True)  # a single row stays, so tiny inputs work


class UpBlock(nn.Module):
    """Nearest upsampling, by 2 unless a size is given, convolution 3x3, batch norm, ReLU (Fig. 11e)."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv = UpsampledConv(in_channels, out_channels)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Float[Tensor, "b c h w"], size: tuple[int, int] | None = None) -> Float[Tensor, "b c2 h2 w2"]:
        return F.relu(self.norm(self.conv(x, size or (2 * x.shape[2], 2 * x.shape[3]))), inplace=True)


class ResBlock(nn.Module):
    """Pre-activation residual block: twice (batch norm, ReLU, convolution 3x3), plus the input."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        hidden = self.conv1(F.relu(self.norm1(x)))
        hidden = self.conv2(F.relu(self.norm2(hidden)))
        return torch.add(x, hidden)


class AntiAliasDown(nn.Module):
    """Gaussian blur with sigma (1/scale - 1)/2, then every (1/scale)-th pixel; scale 1 is the identity.

    The kernel has even reach about each block of 1/scale pixels, so pixel centres map to pixel centres: output pixel
    i stands for the block i/scale ... (i+1)/scale - 1 of the input.
    """

    kernel: Tensor

    def __init__(self, scale: float):
        super().__init__()
        self.step = round(1 / scale)
        sigma = (self.step - 1) / 2
        reach = max(1, round(4 * sigma))  # taps on each side of the block's centre
        taps = torch.arange(-reach, reach + 1, dtype=torch.float32)
        if self.step % 2 == 0:  # the centre of an even block lies between two pixels
            taps = torch.arange(-reach, reach, dtype=torch.float32) + 0.5
        line = torch.exp(-taps.square() / (2 * max(sigma, 1e-6) ** 2))
        line = line / line.sum()
        self.register_buffer("kernel", rearrange(line[:, None] * line, "i j -> 1 1 i j"), persistent=False)
        self.before = (len(taps) - self.step) // 2

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        if self.step == 1:
            return x
        after = self.kernel.shape[-1] - self.step - self.before
        padded = F.pad(x, (self.before, after, self.before, after), mode="replicate")
        kernel = self.kernel.to(x.dtype).expand(x.shape[1], -1, -1, -1)
        return F.conv2d(padded, kernel, stride=self.step, groups=x.shape[1])


class ReleasedDown(nn.Module):
    """Anti-aliased downsampling as published models do it: zeros around, output pixel i at input pixel i / scale.

    A Gaussian of sigma (1/scale - 1)/2 and width 2 * round(4 sigma) + 1, zero padding of half the width, then every
    (1/scale)-th pixel; scale 1 is the identity. The result is shifted by half a pixel of the input's grid and dark at
    the border, which is what the published weights know.
    """

    kernel: Tensor

    def __init__(self, scale: float):
        super().__init__()
        self.step = round(1 / scale)
        sigma = (1 / scale - 1) / 2
        self.reach = round(4 * sigma)
        taps = torch.arange(-self.reach, self.reach + 1, dtype=torch.float32)
        line = torch.exp(-taps.square() / (2 * max(sigma, 1e-6) ** 2))
        kernel = line[:, None] * line
        self.register_buffer("kernel", rearrange(kernel / kernel.sum(), "i j -> 1 1 i j"), persistent=False)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        if self.step == 1:
            return x
        kernel = self.kernel.to(x.dtype).expand(x.shape[1], -1, -1, -1)
        return F.conv2d(x, kernel, stride=self.step, padding=self.reach, groups=x.shape[1])


class ResizeTo(nn.Module):
    """The image at a fixed square size, anti-aliased bilinear; the size is independent of the input's."""

    def __init__(self, size: int):
        super().__init__()
        self.size = size

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c s s"]:
        if x.shape[2:] == (self.size, self.size):
            return x
        return F.interpolate(x, (self.size, self.size), mode="bilinear", align_corners=False, antialias=True)


@dataclass(frozen=True, kw_only=True)
class ScaleBy:
    """Work at a fraction of the input's size (the paper: 0.25), anti-aliased."""

    factor: float = 0.25

    def build(self) -> AntiAliasDown:
        return AntiAliasDown(self.factor)


@dataclass(frozen=True, kw_only=True)
class ReleasedScaleBy:
    """`ScaleBy` as published models have it."""

    factor: float = 0.25

    def build(self) -> ReleasedDown:
        return ReleasedDown(self.factor)


@dataclass(frozen=True, kw_only=True)
class FixedSize:
    """Work at one size whatever the input's, so that a network means the same at every image size."""

    side: int

    def build(self) -> ResizeTo:
        return ResizeTo(self.side)


Resize = ScaleBy | FixedSize | ReleasedScaleBy
