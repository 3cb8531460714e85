"""F_kp: sparse keypoints of an image, with or without its depth (Sec. 3.3, Eq. 6, Fig. 11b)."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from dagan.geometry.keypoints import AVERAGES, Summation, mean_of_convolution
from dagan.geometry.warp import PIXELS, PixelConvention
from dagan.nn.blocks import DownBlock, Resize, ScaleBy
from dagan.nn.hourglass import Hourglass
from dagan.types import Keypoints

TEMPERATURE = 0.1  # of the softmax over pixels, as FOMM


class Modality(Enum):
    """What the detector sees: the image alone, or joined with its depth (I || D, Eq. 6)."""

    RGB = "rgb"
    RGBD = "rgbd"

    @property
    def num_channels(self) -> int:
        return len(self.value)

    def join(self, image: Float[Tensor, "b 3 h w"], depth: Float[Tensor, "b 1 h w"] | None) -> Float[Tensor, "b c h w"]:
        """The detector's input. Raises ValueError when depth is needed and there is none."""
        if self is Modality.RGB:
            return image
        if depth is None:
            raise ValueError("RGB-D keypoints need a depth map; give the model a depth network")
        return torch.cat([image, depth], dim=1)


@dataclass(frozen=True, kw_only=True)
class KeypointConfig:
    """Paper: K = 15 points from RGB-D, an hourglass at a quarter of the image's size."""

    num_keypoints: int = 15
    has_jacobian: bool = False
    modality: Modality = Modality.RGB
    width: int = 32
    cap: int = 1024
    num_blocks: int = 5
    kernel: int = 7
    padded: bool = True  # heads keep the map's size; published ones do not pad: 58x58 from 64x64
    pixels: PixelConvention = "centres"
    summation: Summation = "product"
    num_stem_blocks: int = 0  # down blocks before the hourglass; not in the paper, 1 in lite: finer input, same maps
    resize: Resize = ScaleBy(factor=0.25)

    @property
    def head_padding(self) -> int:
        return self.kernel // 2 if self.padded else 0

    def build(self) -> "KeypointDetector":
        return KeypointDetector(self)


class KeypointDetector(nn.Module):
    """F_kp: heatmaps by an hourglass, keypoints by their expectation, jacobians averaged under them."""

    def __init__(self, config: KeypointConfig):
        super().__init__()
        self.modality = config.modality
        self.pixels = PIXELS[config.pixels]
        self.averages = AVERAGES[config.summation]
        self.resize = config.resize.build()
        channels = config.modality.num_channels
        self.stem = nn.Sequential()
        for _ in range(config.num_stem_blocks):
            self.stem.append(DownBlock(channels, config.width))
            channels = config.width
        self.hourglass = Hourglass(channels, config.width, config.cap, config.num_blocks)
        maps = self.hourglass.out_channels
        self.heatmap = nn.Conv2d(maps, config.num_keypoints, config.kernel, padding=config.head_padding)
        self.jacobian = JacobianHead(maps, config) if config.has_jacobian else NoJacobian()

    def forward(self, image: Float[Tensor, "b 3 h w"], depth: Float[Tensor, "b 1 h w"] | None) -> Keypoints:
        """Keypoints {x_n} in (x, y) of [-1, 1], float32 also under autocast."""
        features = self.hourglass(self.stem(self.resize(self.modality.join(image, depth))))
        logits = self.heatmap(features).float() / TEMPERATURE
        heatmap = F.softmax(rearrange(logits, "b k h w -> b k (h w)"), dim=-1).view_as(logits)
        with torch.autocast(image.device.type, enabled=False):
            position = self.averages.position(heatmap, self.pixels.grid)
        return Keypoints(position, self.jacobian(features, heatmap))


class NoJacobian(nn.Module):
    """Keypoints that only translate (the paper's Eq. 7)."""

    def forward(self, features: Float[Tensor, "b c h w"], heatmap: Float[Tensor, "b k h2 w2"]) -> None:
        return None


class JacobianHead(nn.Module):
    """A 2x2 local frame per keypoint, the identity at the start of training (FOMM)."""

    def __init__(self, in_channels: int, config: KeypointConfig):
        super().__init__()
        self.mean = MEANS[config.summation]
        self.conv = nn.Conv2d(in_channels, 4 * config.num_keypoints, config.kernel, padding=config.head_padding)
        nn.init.zeros_(self.conv.weight)
        bias = self.conv.bias
        assert bias is not None
        bias.data.copy_(torch.tensor([1.0, 0.0, 0.0, 1.0]).repeat(config.num_keypoints))

    def forward(
        self, features: Float[Tensor, "b c h w"], heatmap: Float[Tensor, "b k h2 w2"]
    ) -> Float[Tensor, "b k 2 2"]:
        """The predicted frames averaged under each heatmap."""
        frames: Tensor = rearrange(self.mean(features, self.conv, heatmap), "b k (i j) -> b k i j", i=2)
        return frames


def _without_maps(features: Tensor, conv: nn.Conv2d, heatmap: Tensor) -> Tensor:
    bias = conv.bias
    assert bias is not None
    with torch.autocast(features.device.type, enabled=False):
        return mean_of_convolution(features, conv.weight, bias, heatmap)


def _in_order(features: Tensor, conv: nn.Conv2d, heatmap: Tensor) -> Tensor:
    maps = rearrange(conv(features).float(), "b (k d) h w -> b k d h w", d=4)
    with torch.autocast(features.device.type, enabled=False):
        return AVERAGES["in_order"].maps(maps, heatmap)


# The mean of a convolution's maps under the heatmaps, as `AVERAGES` has it.
MEANS: dict[Summation, Callable[[Tensor, nn.Conv2d, Tensor], Tensor]] = {
    "product": _without_maps,
    "in_order": _in_order,
}
