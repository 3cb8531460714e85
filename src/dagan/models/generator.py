"""Generator: encode E_I, warp and occlude (Eq. 8), refine (Eq. 9), decode to I_g (Figs. 2, 11f, 11g)."""

import itertools
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from dagan.geometry.warp import PIXELS, PixelConvention, occlude
from dagan.models.decoder import DecoderConfig, PlainDecoderConfig
from dagan.models.refine import PassThroughConfig, RefineConfig
from dagan.nn.blocks import DownBlock, SameBlock
from dagan.types import Appearance, DenseMotion, Keypoints, Rendering, View


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """Paper: two down blocks from width 64, so the warped feature is 256 x h/4 x w/4."""

    width: int = 64
    num_down: int = 2
    cap: int = 512
    pixels: PixelConvention = "centres"
    refine: RefineConfig = PassThroughConfig()
    decoder: DecoderConfig = PlainDecoderConfig()

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the encoder's features, fine to coarse."""
        return tuple(min(self.cap, self.width * 2**i) for i in range(self.num_down + 1))

    def build(self) -> "Generator":
        return Generator(self)


class Encoder(nn.Module):
    """E_I or E_d: a 7x7 block, then down blocks; features from fine (input size) to coarse."""

    def __init__(self, in_channels: int, widths: tuple[int, ...]):
        super().__init__()
        self.first = SameBlock(in_channels, widths[0], kernel=7)
        self.down = nn.ModuleList(DownBlock(a, b) for a, b in itertools.pairwise(widths))

    def forward(self, x: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b _c _h _w"], ...]:
        features = [self.first(x)]
        for down in self.down:
            features.append(down(features[-1]))
        return tuple(features)


class NoDepthEncoder(nn.Module):
    """For generators that do not look at depth."""

    def forward(self, depth: Float[Tensor, "b 1 h w"] | None) -> None:
        return None


class DepthEncoder(nn.Module):
    """E_d: the structure of E_I on one channel; the coarsest feature is kept (Sec. A.2)."""

    def __init__(self, widths: tuple[int, ...]):
        super().__init__()
        self.encoder = Encoder(1, widths)

    def forward(self, depth: Float[Tensor, "b 1 h w"] | None) -> Float[Tensor, "b c h2 w2"]:
        if depth is None:
            raise ValueError("the depth encoder needs a depth map; give the model a depth network")
        features: tuple[Tensor, ...] = self.encoder(depth)
        return features[-1]


class Generator(nn.Module):
    """Source appearance and dense motion to a generated image."""

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.pixels = PIXELS[config.pixels]
        self.encoder = Encoder(3, config.widths)
        self.depth_encoder = DepthEncoder(config.widths) if config.refine.needs_depth else NoDepthEncoder()
        self.refine = config.refine.build(config.widths[-1])
        self.decoder = config.decoder.build(config.widths)

    def encode(self, image: Float[Tensor, "b 3 h w"], depth: Float[Tensor, "b 1 h w"] | None) -> Appearance:
        """What is needed of a source, once: the features that the decoder reads, and the depth feature map F_d."""
        features = self.encoder(image)
        return Appearance(features[len(features) - 1 - self.decoder.num_skips :], self.depth_encoder(depth))

    def forward(self, source: View, motion: DenseMotion, driving: Keypoints, with_attention: bool = False) -> Rendering:
        """I_g, by the motion to `driving`. `source.appearance` must be filled (`TalkingHead.render` sees to it)."""
        if source.appearance is None:
            raise ValueError("the source view has no appearance; call TalkingHead.encode first")
        warp, (flow, mask, occlusion, foreground) = self.pixels.warp, motion
        warped = tuple(occlude(warp(feature, flow), occlusion) for feature in source.appearance.features)
        refined = self.refine(warped[-1], source.appearance.depth_features, with_attention)
        warped_image = warp(source.image, flow)
        image, weight = self.decoder(refined.feature, warped[:-1], warped_image, occlusion, driving.position)
        return Rendering(image, flow, mask, occlusion, warped_image, refined.attention, foreground, weight)
