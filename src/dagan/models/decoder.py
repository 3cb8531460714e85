"""Decoders of the generator: siblings called with (refined, warped skips fine to coarse, warped image, occlusion,
positions of the driving keypoints), that give the image and the warped image's share of it, where they know it."""

import itertools
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dagan.geometry.keypoints import gaussians
from dagan.models.spade import SpadeDecoderConfig
from dagan.nn.blocks import ResBlock, SameBlock, UpBlock
from dagan.types import Decoded

POINT_VARIANCE = 0.0015  # of a drawn keypoint: 5 pixels' standard deviation at 256, about an eye's opening
VISIBLE_BIAS = 2.0  # start with the warped source mostly showing: sigmoid(2) = 0.88


@dataclass(frozen=True, kw_only=True)
class PlainDecoderConfig:
    """The paper's decoder, "the same as in [24]": six residual blocks, two up blocks, 7x7 to RGB, sigmoid."""

    num_res_blocks: int = 6

    def build(self, widths: tuple[int, ...]) -> "PlainDecoder":
        return PlainDecoder(self, widths)


@dataclass(frozen=True, kw_only=True)
class BlendDecoderConfig:
    """Ours for lite: skips at every size, and a per-pixel blend of the warped source with the synthesis.

    `num_points`: the first so many driving keypoints are drawn for the decoder at every size that has a skip. A flow
    can close an eye, but not open one that is shut in the photo. `num_join_blocks`: residual blocks after each skip.
    """

    num_res_blocks: int = 2
    num_join_blocks: int = 0
    last_width: int = 16
    num_points: int = 0

    def build(self, widths: tuple[int, ...]) -> "BlendDecoder":
        return BlendDecoder(self, widths)


DecoderConfig = PlainDecoderConfig | BlendDecoderConfig | SpadeDecoderConfig


class PlainDecoder(nn.Module):
    """Refined feature to image; reads no skips."""

    num_skips = 0

    def __init__(self, config: PlainDecoderConfig, widths: tuple[int, ...]):
        super().__init__()
        self.res = nn.Sequential(*(ResBlock(widths[-1]) for _ in range(config.num_res_blocks)))
        descending = widths[::-1]
        self.up = nn.Sequential(*(UpBlock(a, b) for a, b in itertools.pairwise(descending)))
        self.last = nn.Conv2d(widths[0], 3, 7, padding=3)

    def forward(
        self,
        refined: Float[Tensor, "b c h w"],
        skips: tuple[Float[Tensor, "b _c _h _w"], ...],
        warped_image: Float[Tensor, "b 3 H W"],
        occlusion: Float[Tensor, "b 1 _h _w"],
        driving: Float[Tensor, "b k 2"],
    ) -> Decoded:
        return Decoded(torch.sigmoid(self.last(self.up(self.res(refined))).float()))


class PointDrawing(nn.Module):
    """A feature plus a convolution of Gaussians about the first keypoints; nothing at the start of training."""

    def __init__(self, num_points: int, channels: int):
        super().__init__()
        self.num_points = num_points
        self.conv = nn.Conv2d(num_points, channels, 3, padding=1, bias=False)
        nn.init.zeros_(self.conv.weight)

    def forward(self, x: Float[Tensor, "b c h w"], position: Float[Tensor, "b k 2"]) -> Float[Tensor, "b c h w"]:
        drawn = gaussians(position[:, : self.num_points], (x.shape[2], x.shape[3]), POINT_VARIANCE)
        added: Tensor = x + self.conv(drawn.to(x.dtype))
        return added


class NoDrawing(nn.Module):
    """The feature as it is."""

    def forward(self, x: Float[Tensor, "b c h w"], position: Float[Tensor, "b k 2"]) -> Float[Tensor, "b c h w"]:
        return x


def _drawing(num_points: int, channels: int) -> nn.Module:
    return PointDrawing(num_points, channels) if num_points else NoDrawing()


class BlendDecoder(nn.Module):
    """weight * warped source + (1 - weight) * synthesis: texture comes from the photo, the rest is painted.

    The skips are the source's finer features, warped and occluded like the coarsest one; the finest level sees the
    warped image itself.
    """

    def __init__(self, config: BlendDecoderConfig, widths: tuple[int, ...]):
        super().__init__()
        self.num_skips = len(widths) - 2  # every size but the coarsest (refined) and the finest (the image itself)
        self.res = nn.Sequential(*(ResBlock(widths[-1]) for _ in range(config.num_res_blocks)))
        descending = widths[::-1]
        self.up = nn.ModuleList(UpBlock(a, b) for a, b in itertools.pairwise(descending[:-1]))
        self.draw = nn.ModuleList(_drawing(config.num_points, b) for b in descending[1:-1])
        self.join = nn.ModuleList(SameBlock(2 * b, b) for b in descending[1:-1])
        blocks = range(config.num_join_blocks)
        self.join_res = nn.ModuleList(nn.Sequential(*(ResBlock(b) for _ in blocks)) for b in descending[1:-1])
        self.up_last = UpBlock(widths[1], config.last_width)
        self.last = nn.Conv2d(config.last_width + 3, 4, 3, padding=1)
        bias = self.last.bias
        assert bias is not None
        bias.data.copy_(torch.tensor([0.0, 0.0, 0.0, VISIBLE_BIAS]))

    def forward(
        self,
        refined: Float[Tensor, "b c h w"],
        skips: tuple[Float[Tensor, "b _c _h _w"], ...],
        warped_image: Float[Tensor, "b 3 H W"],
        occlusion: Float[Tensor, "b 1 _h _w"],
        driving: Float[Tensor, "b k 2"],
    ) -> Decoded:
        x = self.res(refined)
        steps = zip(self.up, self.draw, self.join, self.join_res, reversed(skips), strict=True)
        for up, draw, join, res, skip in steps:
            x = res(join(torch.cat([draw(up(x), driving), skip.to(x.dtype)], dim=1)))
        x = self.up_last(x)
        painted, weight = self.last(torch.cat([x, warped_image.to(x.dtype)], dim=1)).float().split([3, 1], dim=1)
        share = torch.sigmoid(weight)
        return Decoded(torch.lerp(torch.sigmoid(painted), warped_image.float(), share), share)
