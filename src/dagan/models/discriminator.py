"""Patch discriminator D of Fig. 11h: four convolutions down, then a 1x1 prediction map."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from dagan.geometry.keypoints import gaussians
from dagan.geometry.warp import PIXELS, PixelConvention, Pixels
from dagan.types import Keypoints

VARIANCE = 0.01  # of the keypoint Gaussians, as in the motion network


class Judgement(NamedTuple):
    """The prediction map (1 = real, least squares) and every block's output, for feature matching."""

    prediction: Float[Tensor, "b 1 h w"]
    features: tuple[Float[Tensor, "b _c _h _w"], ...]


@dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig:
    """Paper: widths 64 to 512 over four blocks; from 256x256 the map is 26x26. Images must be 64x64 or larger.

    Published discriminators also see the driving keypoints, as Gaussians (DaGAN), or have spectral-normalised
    convolutions (FOMM): `num_keypoints` (0: the image alone), `pixels` and `spectral`.
    """

    width: int = 64
    cap: int = 512
    num_blocks: int = 4
    num_keypoints: int = 0
    pixels: PixelConvention = "centres"
    spectral: bool = False

    def build(self) -> "Discriminator":
        return Discriminator(self)


class ImageAlone(nn.Module):
    """The discriminator sees the image."""

    def forward(self, image: Float[Tensor, "b 3 h w"], driving: Any) -> Float[Tensor, "b 3 h w"]:
        return image


class ImageWithKeypoints(nn.Module):
    """The discriminator sees the image and a Gaussian around each driving keypoint, which it does not move."""

    def __init__(self, pixels: Pixels):
        super().__init__()
        self.pixels = pixels

    def forward(self, image: Float[Tensor, "b 3 h w"], driving: Keypoints | None) -> Float[Tensor, "b c h w"]:
        if driving is None:
            raise ValueError("this discriminator judges an image beside its driving keypoints; give them, too")
        size = (image.shape[2], image.shape[3])
        with torch.autocast(image.device.type, enabled=False):
            maps = gaussians(driving.position.detach().float(), size, VARIANCE, self.pixels.grid)
        return torch.cat([image, maps.to(image.dtype)], dim=1)


class DiscriminatorBlock(nn.Module):
    """Convolution 4x4 without padding, instance norm, leaky ReLU, 2x2 average pool (each but the first optional)."""

    def __init__(self, in_channels: int, out_channels: int, *, normalised: bool, pooled: bool, spectral: bool):
        super().__init__()
        self.conv = _constrained(nn.Conv2d(in_channels, out_channels, 4), spectral)
        self.norm = nn.InstanceNorm2d(out_channels, affine=True) if normalised else nn.Identity()
        self.pool = nn.AvgPool2d(2) if pooled else nn.Identity()

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        pooled: Tensor = self.pool(F.leaky_relu(self.norm(self.conv(x)), 0.2))
        return pooled


class Discriminator(nn.Module):
    """Image in [0, 1], and driving keypoints for those that see them, to a judgement."""

    def __init__(self, config: DiscriminatorConfig):
        super().__init__()
        self.join = ImageWithKeypoints(PIXELS[config.pixels]) if config.num_keypoints else ImageAlone()
        widths = [3 + config.num_keypoints] + [min(config.cap, config.width * 2**i) for i in range(config.num_blocks)]
        last = config.num_blocks - 1
        self.blocks = nn.ModuleList(
            DiscriminatorBlock(widths[i], widths[i + 1], normalised=i > 0, pooled=i < last, spectral=config.spectral)
            for i in range(config.num_blocks)
        )
        self.prediction = _constrained(nn.Conv2d(widths[-1], 1, 1), config.spectral)

    def forward(self, image: Float[Tensor, "b 3 h w"], driving: Any = None) -> Judgement:
        features = [self.join(image, driving)]
        for block in self.blocks:
            features.append(block(features[-1]))
        return Judgement(self.prediction(features[-1]), tuple(features[1:]))


def _constrained(conv: nn.Conv2d, spectral: bool) -> nn.Module:
    return spectral_norm(conv) if spectral else conv
