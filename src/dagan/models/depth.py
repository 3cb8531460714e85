"""Face depth network F_d: one image to a sigmoid disparity map (Eq. 1, Fig. 11a, Appendix A.2).

The defaults are also exactly what the published checkpoints compute (ResNet-18; `num_layers=50` for the later release).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from dagan.nn.blocks import ResizeTo
from dagan.nn.resnet import ResNetEncoder

INPUT_MEAN, INPUT_STD = 0.45, 0.225  # one grey mean and deviation for all channels, as released
NUM_SCALES = 4  # heads at 1, 1/2, 1/4, 1/8 of the input


@dataclass(frozen=True, kw_only=True)
class FaceDepthConfig:
    """Shape of F_d. `decoder_widths` go from the finest level to the coarsest.

    `working_size` makes the network see a square of that side and resizes its disparity back: a lite F_d at 128 costs
    a quarter of one at 256. None: the image as it is. Sides of 32 pixels and more work; multiples of 32 are exact.
    """

    num_layers: int = 18
    base_width: int = 64
    decoder_widths: tuple[int, int, int, int, int] = (16, 32, 64, 128, 256)
    working_size: int | None = None

    def build(self) -> "FaceDepthNet":
        return FaceDepthNet(self)


class FaceDepthNet(nn.Module):
    """F_d: image to disparity in (0, 1), 1 = nearest (Eq. 1). `depth_from_disparity` makes depth of it."""

    def __init__(self, config: FaceDepthConfig) -> None:
        super().__init__()
        self.config = config
        self.resize = nn.Identity() if config.working_size is None else ResizeTo(config.working_size)
        self.encoder = ResNetEncoder(config.num_layers, config.base_width)
        self.decoder = DepthDecoder(self.encoder.channels, config.decoder_widths)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 h w"]:
        """Finest disparity in (0, 1) at the image's resolution. Images are RGB in [0, 1]."""
        (disparity,) = self.pyramid(image, num_scales=1)
        return functional.interpolate(disparity, size=image.shape[-2:], mode="bilinear", align_corners=False)

    def pyramid(
        self, image: Float[Tensor, "b 3 h w"], num_scales: int = NUM_SCALES
    ) -> tuple[Float[Tensor, "b 1 _h _w"], ...]:
        """Disparities at 1, 1/2, 1/4, 1/8 of the working size, or the first of these, finest first (stage 1: all)."""
        resized = self.resize(image)
        features = self.encoder((resized - INPUT_MEAN) / INPUT_STD)
        disparities: tuple[Tensor, ...] = self.decoder(features, resized.shape[-2:], num_scales)
        return disparities


class DepthDecoder(nn.Module):
    """Encoder features to four sigmoid maps, coarse to fine with skips.

    `blocks` holds the two blocks of each level from 4 down to 0, `heads` those of scales 0 to 3: the order in which
    published checkpoints number them.
    """

    def __init__(self, encoder_channels: tuple[int, ...], widths: tuple[int, ...]) -> None:
        super().__init__()
        coarse_to_fine = range(len(widths) - 1, -1, -1)
        incoming = [*widths[1:], encoder_channels[-1]]
        skips = [0, *encoder_channels[:-1]]
        blocks: list[nn.Module] = []
        for level in coarse_to_fine:
            blocks.append(ConvBlock(incoming[level], widths[level]))
            blocks.append(ConvBlock(widths[level] + skips[level], widths[level]))
        self.blocks = nn.ModuleList(blocks)
        self.heads = nn.ModuleList(ReflectConv(widths[scale], 1) for scale in range(NUM_SCALES))

    def forward(
        self,
        features: tuple[Float[Tensor, "b _c _h _w"], ...],
        image_size: torch.Size,
        num_scales: int = NUM_SCALES,
    ) -> tuple[Float[Tensor, "b 1 _h _w"], ...]:
        x = features[-1]
        disparities: list[Tensor] = []
        for index, level in enumerate(range(len(features) - 1, -1, -1)):
            size = features[level - 1].shape[-2:] if level > 0 else image_size
            x = self.blocks[2 * index](x)
            x = functional.interpolate(x, size=size, mode="nearest")
            x = torch.cat([x, *features[level - 1 : level]], 1)  # level 0 has no skip: the slice is empty
            x = self.blocks[2 * index + 1](x)
            if level < num_scales:
                # The sigmoid in float32: a bfloat16 map would step by 0.4 % in depth, more than a nose needs.
                disparities.append(torch.sigmoid(self.heads[level](x).float()))
        return tuple(reversed(disparities))


class ConvBlock(nn.Module):
    """Reflection-padded 3x3 convolution and ELU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = ReflectConv(in_channels, out_channels)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h w"]:
        return functional.elu(self.conv(x), inplace=True)


class ReflectConv(nn.Module):
    """3x3 convolution with a reflected border; a side of one pixel has nothing to reflect and is repeated instead."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h w"]:
        border = "reflect" if min(x.shape[-2:]) > 1 else "replicate"
        convolved: Tensor = self.conv(functional.pad(x, (1, 1, 1, 1), mode=border))
        return convolved


def depth_from_disparity(
    disparity: Float[Tensor, "b 1 h w"], min_depth: float = 0.7, max_depth: float = 1.2
) -> Float[Tensor, "b 1 h w"]:
    """Depth between `min_depth` (disparity 1) and `max_depth` (disparity 0), linear in inverse depth.

    Only the ratio matters, as scale is free. The release has 0.1 and 100, made for streets: there a head, whose depth
    varies by about a fifth, would use 2 % of the sigmoid. Between 0.7 and 1.2 it uses about half, at a relief that
    fits a portrait's focal length, and the far end is left to shoulders and background, whose true depth no still
    camera shows: depth trains faster, and the map that stage 2 reads has contrast.
    """
    nearest, farthest = 1 / min_depth, 1 / max_depth
    return 1 / (farthest + (nearest - farthest) * disparity)
