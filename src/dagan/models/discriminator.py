"""Patch discriminator D of Fig. 11h: four convolutions down, then a 1x1 prediction map."""

from dataclasses import dataclass
from typing import NamedTuple

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class Judgement(NamedTuple):
    """The prediction map (1 = real, least squares) and every block's output, for feature matching."""

    prediction: Float[Tensor, "b 1 h w"]
    features: tuple[Float[Tensor, "b _c _h _w"], ...]


@dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig:
    """Paper: widths 64 to 512 over four blocks; from 256x256 the map is 26x26. Images must be 64x64 or larger."""

    width: int = 64
    cap: int = 512
    num_blocks: int = 4

    def build(self) -> "Discriminator":
        return Discriminator(self)


class DiscriminatorBlock(nn.Module):
    """Convolution 4x4 without padding, instance norm, leaky ReLU, 2x2 average pool (each but the first optional)."""

    def __init__(self, in_channels: int, out_channels: int, *, normalised: bool, pooled: bool):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 4)
        self.norm = nn.InstanceNorm2d(out_channels, affine=True) if normalised else nn.Identity()
        self.pool = nn.AvgPool2d(2) if pooled else nn.Identity()

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        pooled: Tensor = self.pool(F.leaky_relu(self.norm(self.conv(x)), 0.2))
        return pooled


class Discriminator(nn.Module):
    """Image in [0, 1] to a judgement."""

    def __init__(self, config: DiscriminatorConfig):
        super().__init__()
        widths = [3] + [min(config.cap, config.width * 2**i) for i in range(config.num_blocks)]
        last = config.num_blocks - 1
        self.blocks = nn.ModuleList(
            DiscriminatorBlock(widths[i], widths[i + 1], normalised=i > 0, pooled=i < last)
            for i in range(config.num_blocks)
        )
        self.prediction = nn.Conv2d(widths[-1], 1, 1)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Judgement:
        features = [image]
        for block in self.blocks:
            features.append(block(features[-1]))
        return Judgement(self.prediction(features[-1]), tuple(features[1:]))
