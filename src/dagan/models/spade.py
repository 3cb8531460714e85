"""The SPADE decoder of a published DaGAN: normalisation scaled and shifted by a guide image, at every block.

A sibling of the decoders in `models/decoder.py`. The paper does not have it.
"""

import itertools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from dagan.geometry.warp import occlude
from dagan.types import Decoded

SLOPE = 0.2  # of the leaky ReLUs


@dataclass(frozen=True, kw_only=True)
class SpadeDecoderConfig:
    """As released: three blocks of 512 channels, then one of 256 and one of 64, each at twice the size before."""

    width: int = 512
    num_blocks: int = 3
    up_widths: tuple[int, ...] = (256, 64)
    hidden: int = 128  # channels between the guide and its scale and shift
    guide_channels: int = 4  # of the refined feature, beside the three of the warped image

    def build(self, widths: tuple[int, ...]) -> "SpadeDecoder":
        if len(self.up_widths) != len(widths) - 1:
            raise ValueError(f"the SPADE decoder doubles {len(self.up_widths)} times; the encoder halves otherwise")
        return SpadeDecoder(self, widths[-1])


class SpadeNorm(nn.Module):
    """Instance norm, then 1 + scale and shift that convolutions read from the guide at each pixel."""

    def __init__(self, channels: int, guide_channels: int, hidden: int):
        super().__init__()
        self.norm = nn.InstanceNorm2d(channels, affine=False)
        self.shared = nn.Conv2d(guide_channels, hidden, 3, padding=1)
        self.scale = nn.Conv2d(hidden, channels, 3, padding=1)
        self.shift = nn.Conv2d(hidden, channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "b c h w"], guide: Float[Tensor, "b g _h _w"]) -> Float[Tensor, "b c h w"]:
        hidden = F.relu(self.shared(F.interpolate(guide, x.shape[2:], mode="nearest")))
        modulated: Tensor = self.norm(x) * (1 + self.scale(hidden)) + self.shift(hidden)
        return modulated


class Straight(nn.Module):
    """The shortcut of a block that keeps its width: the input."""

    def forward(self, x: Float[Tensor, "b c h w"], guide: Float[Tensor, "b g _h _w"]) -> Float[Tensor, "b c h w"]:
        return x


class Projection(nn.Module):
    """The shortcut of a block that changes its width: SPADE, then a 1x1 convolution."""

    def __init__(self, in_channels: int, out_channels: int, guide_channels: int, hidden: int):
        super().__init__()
        self.norm = SpadeNorm(in_channels, guide_channels, hidden)
        self.conv = spectral_norm(nn.Conv2d(in_channels, out_channels, 1, bias=False))

    def forward(self, x: Float[Tensor, "b c h w"], guide: Float[Tensor, "b g _h _w"]) -> Float[Tensor, "b c2 h w"]:
        projected: Tensor = self.conv(self.norm(x, guide))
        return projected


class SpadeBlock(nn.Module):
    """Twice (SPADE, leaky ReLU, convolution 3x3), plus the shortcut; convolutions are spectral-normalised."""

    def __init__(self, in_channels: int, out_channels: int, guide_channels: int, hidden: int):
        super().__init__()
        middle = min(in_channels, out_channels)
        self.norm0 = SpadeNorm(in_channels, guide_channels, hidden)
        self.conv0 = spectral_norm(nn.Conv2d(in_channels, middle, 3, padding=1))
        self.norm1 = SpadeNorm(middle, guide_channels, hidden)
        self.conv1 = spectral_norm(nn.Conv2d(middle, out_channels, 3, padding=1))
        same = in_channels == out_channels
        self.shortcut = Straight() if same else Projection(in_channels, out_channels, guide_channels, hidden)

    def forward(self, x: Float[Tensor, "b c h w"], guide: Float[Tensor, "b g _h _w"]) -> Float[Tensor, "b c2 h w"]:
        hidden = self.conv0(F.leaky_relu(self.norm0(x, guide), SLOPE))
        hidden = self.conv1(F.leaky_relu(self.norm1(hidden, guide), SLOPE))
        return torch.add(self.shortcut(x, guide), hidden)


class SpadeDecoder(nn.Module):
    """Refined feature to image, guided by the feature compressed and the occluded, warped source; reads no skips."""

    num_skips = 0

    def __init__(self, config: SpadeDecoderConfig, in_channels: int):
        super().__init__()
        guide = config.guide_channels + 3
        self.compress = nn.Conv2d(in_channels, config.guide_channels, 3, padding=1)
        self.expand = nn.Conv2d(in_channels, config.width, 3, padding=1)
        self.blocks = nn.ModuleList(
            SpadeBlock(config.width, config.width, guide, config.hidden) for _ in range(config.num_blocks)
        )
        ascending = itertools.pairwise((config.width, *config.up_widths))
        self.up = nn.ModuleList(SpadeBlock(a, b, guide, config.hidden) for a, b in ascending)
        self.last = nn.Conv2d(config.up_widths[-1], 3, 3, padding=1)

    def forward(
        self,
        refined: Float[Tensor, "b c h w"],
        skips: tuple[Float[Tensor, "b _c _h _w"], ...],
        warped_image: Float[Tensor, "b 3 H W"],
        occlusion: Float[Tensor, "b 1 _h _w"],
        driving: Float[Tensor, "b k 2"],
    ) -> Decoded:
        compressed = F.interpolate(self.compress(refined), warped_image.shape[2:], mode="nearest")
        guide = torch.cat([compressed, occlude(warped_image, occlusion).to(compressed.dtype)], dim=1)
        x = self.expand(refined)
        for block in self.blocks:
            x = block(x, guide)
        for up in self.up:
            x = up(F.interpolate(x, scale_factor=2, mode="nearest"), guide)
        return Decoded(torch.sigmoid(self.last(F.leaky_relu(x, SLOPE)).float()))
