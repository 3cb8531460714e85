"""Monkey-Net (Siarohin et al., CVPR 2019): keypoints with covariances, a flow of their offsets and a free correction,
and a U-Net whose skips are all warped. It has no occlusion map.

Published models (docs/checkpoints.md) are the same networks with `pixels` corners and `NearestScaleBy`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from einops import einsum, rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from dagan.geometry.grid import GridFunction
from dagan.geometry.local_motion import invert_2x2
from dagan.geometry.warp import PIXELS, PixelConvention, Pixels
from dagan.models.discriminator import DiscriminatorBlock, Judgement
from dagan.models.family import Family, OwnTerm
from dagan.models.keypoints import TEMPERATURE
from dagan.nn.blocks import DownBlock, FixedSize, ResBlock, ScaleBy, UpBlock
from dagan.nn.hourglass import Hourglass
from dagan.transfer.relative import offset_transfer, position_scale
from dagan.types import Keypoints, Rendering, View

LEAST_WEIGHT = 1e-7  # added to every pixel of a heatmap, which then sums to a little more than 1
LEAST_SPREAD = 1e-3  # of a covariance: its smaller singular value
HEATMAP_SCALE = 0.01  # heatmaps enter networks divided by 100
BACKGROUND_BIAS = 2.0  # logit of the background's mask at the start of training: the flow begins near the identity
LEAST_EIGENVALUE = 1e-6
TINY = 1e-12
LEVEL_WEIGHTS = (10.0, 10.0, 10.0, 10.0, 1.0)  # of the image, and the four blocks' outputs


@dataclass(frozen=True, kw_only=True)
class NearestScaleBy:
    """Every so many pixels, without smoothing: what published models work at."""

    factor: float = 0.25

    def build(self) -> "EveryPixel":
        return EveryPixel(round(1 / self.factor))


class EveryPixel(nn.Module):
    """Pixels 0, step, 2 step, ..."""

    def __init__(self, step: int):
        super().__init__()
        self.step = step

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        return x[:, :, :: self.step, :: self.step]


class GaussianKeypoints(NamedTuple):
    """Keypoints (x, y) in [-1, 1] with the covariance of each one's heatmap."""

    position: Float[Tensor, "b k 2"]
    covariance: Float[Tensor, "b k 2 2"]

    def named(self) -> dict[str, Tensor]:
        return self._asdict()

    def each(self, change: Callable[[Tensor], Tensor]) -> "GaussianKeypoints":
        return GaussianKeypoints(*map(change, self))

    def drawn(self) -> dict[str, Tensor]:
        return self._asdict()


class WarpedSkips(NamedTuple):
    """What is kept of a source: its features from fine to coarse."""

    features: tuple[Float[Tensor, "b _c _h _w"], ...]


class Motion(NamedTuple):
    """The flow from driving to source pixels: mask-weighted offsets plus the correction."""

    flow: Float[Tensor, "b h w 2"]
    mask: Float[Tensor, "b s h w"]
    correction: Float[Tensor, "b 2 h w"]


@dataclass(frozen=True, kw_only=True)
class MonkeyNetConfig:
    """Paper's numbers: ten keypoints, hourglasses and U-Net of width 32, detector and motion at a quarter of the size.

    `adapts_covariance`: relative motion turns the source's covariances as the driver's turned; else they are the
    driver's own.
    """

    num_keypoints: int = 10
    width: int = 32
    cap: int = 1024
    num_blocks: int = 5  # of both hourglasses
    num_levels: int = 7  # of the U-Net
    num_res_blocks: int = 4
    pixels: PixelConvention = "centres"
    resize: ScaleBy | FixedSize | NearestScaleBy = ScaleBy(factor=0.25)
    adapts_covariance: bool = False

    def build(self) -> "MonkeyNet":
        return MonkeyNet(self)


def clipped(covariance: Float[Tensor, "b k 2 2"]) -> Float[Tensor, "b k 2 2"]:
    """The covariance scaled up where its smaller singular value is below `LEAST_SPREAD`."""
    (a, b), (c, d) = (row.unbind(-1) for row in covariance.unbind(-2))
    norm = a * a + b * b + c * c + d * d
    apart = ((a * a + b * b - c * c - d * d).square() + 4 * (a * c + b * d).square()).clamp_min(TINY**2).sqrt()
    least = ((norm - apart).clamp_min(TINY) / 2).sqrt()
    return covariance * (least.clamp_min(LEAST_SPREAD) / least)[..., None, None]


def heatmaps(code: GaussianKeypoints, size: tuple[int, int], build_grid: GridFunction) -> Float[Tensor, "b k h w"]:
    """A Gaussian of height 1 about each keypoint, as wide as its covariance says."""
    away = build_grid(*size, code.position) - rearrange(code.position, "b k d -> b k 1 1 d")
    inverse = invert_2x2(code.covariance)
    return torch.exp(-0.5 * einsum(away, inverse, away, "b k h w i, b k i j, b k h w j -> b k h w"))


def difference_maps(
    source: GaussianKeypoints, driving: GaussianKeypoints, size: tuple[int, int], build_grid: GridFunction
) -> Float[Tensor, "b k h w"]:
    """The driver's heatmaps minus the source's, as networks see them."""
    return HEATMAP_SCALE * (heatmaps(driving, size, build_grid) - heatmaps(source, size, build_grid))


class GaussianDetector(nn.Module):
    """Keypoints and covariances: mean and spread of the coordinate grid under each heatmap."""

    def __init__(self, config: MonkeyNetConfig):
        super().__init__()
        self.build_grid = PIXELS[config.pixels].grid
        self.resize = config.resize.build()
        self.hourglass = Hourglass(3, config.width, config.cap, config.num_blocks)
        self.heatmap = nn.Conv2d(self.hourglass.out_channels, config.num_keypoints, 3, padding=1)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> GaussianKeypoints:
        logits = self.heatmap(self.hourglass(self.resize(image))).float() / TEMPERATURE
        with torch.autocast(image.device.type, enabled=False):
            heatmap = F.softmax(logits.flatten(2), dim=-1).view_as(logits) + LEAST_WEIGHT
            grid = self.build_grid(logits.shape[2], logits.shape[3], logits)
            position = (heatmap[..., None] * grid).sum((2, 3))  # b k 2
            away = grid - rearrange(position, "b k d -> b k 1 1 d")
            spread = einsum(heatmap, away, away, "b k h w, b k h w i, b k h w j -> b k i j")
            return GaussianKeypoints(position, clipped(spread))


class CorrectedMotion(nn.Module):
    """The dense motion network: mask over the keypoints' offsets, and a correction of two channels."""

    def __init__(self, config: MonkeyNetConfig):
        super().__init__()
        self.pixels = PIXELS[config.pixels]
        self.resize = config.resize.build()
        slots = config.num_keypoints + 1
        self.groups = nn.Sequential(*(GroupBlock(4 * slots, slots) for _ in range(2)))
        self.hourglass = Hourglass(4 * slots, config.width, config.cap, config.num_blocks)
        self.head = nn.Conv2d(self.hourglass.out_channels, slots + 2, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        assert self.head.bias is not None
        self.head.bias.data.copy_(torch.tensor([BACKGROUND_BIAS] + [0.0] * (slots + 1)))

    def forward(self, image: Float[Tensor, "b 3 h w"], source: GaussianKeypoints, driving: GaussianKeypoints) -> Motion:
        small = self.resize(image)
        with torch.autocast(image.device.type, enabled=False):
            slots = self.slots(small.float(), source, driving)
        predicted = self.head(self.hourglass(self.groups(slots))).float()
        mask, correction = F.softmax(predicted[:, :-2], dim=1), predicted[:, -2:]
        with torch.autocast(image.device.type, enabled=False):
            shifts = F.pad(source.position - driving.position, (0, 0, 1, 0))  # b s 2, the background's is 0
            moved = einsum(mask, shifts, "b s h w, b s d -> b h w d")
            grid = self.pixels.grid(small.shape[2], small.shape[3], small.float())
            return Motion(grid + moved + rearrange(correction, "b d h w -> b h w d"), mask, correction)

    def slots(
        self, small: Float[Tensor, "b 3 h w"], source: GaussianKeypoints, driving: GaussianKeypoints
    ) -> Float[Tensor, "b c h w"]:
        """[heatmap difference, R, G, B] of the background and every keypoint: the source moved by its offset."""
        size = (small.shape[2], small.shape[3])
        maps = F.pad(difference_maps(source, driving, size, self.pixels.grid), (0, 0, 0, 0, 1, 0))  # b s h w
        shifts = F.pad(source.position - driving.position, (0, 0, 1, 0))
        flows = self.pixels.grid(*size, small) + rearrange(shifts, "b s d -> b s 1 1 d")
        copies = repeat(small, "b c h w -> (b s) c h w", s=maps.shape[1])
        warped = self.pixels.warp(copies, rearrange(flows, "b s h w d -> (b s) h w d"))
        warped = rearrange(warped, "(b s) c h w -> b s c h w", s=maps.shape[1])
        return rearrange(torch.cat([maps[:, :, None], warped], dim=2), "b s c h w -> b (s c) h w")


class GroupBlock(nn.Module):
    """Convolution 1x1 of each slot by itself, batch norm, ReLU."""

    def __init__(self, channels: int, groups: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1, groups=groups)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return F.relu(self.norm(self.conv(x)))


class WarpedUNet(nn.Module):
    """Encoder, and a decoder that sees every level of it warped, with the keypoints' movement beside it."""

    def __init__(self, config: MonkeyNetConfig):
        super().__init__()
        self.pixels = PIXELS[config.pixels]
        self.resize = config.resize.build()
        levels, keypoints = config.num_levels, config.num_keypoints
        widths = [3] + [min(config.cap, config.width * 2 ** (i + 1)) for i in range(levels)]
        self.down = nn.ModuleList(DownBlock(widths[i], widths[i + 1]) for i in range(levels))
        self.up = nn.ModuleList()
        channels = widths[-1] + keypoints
        for level in reversed(range(levels)):
            out = min(config.cap, config.width * 2**level)
            self.up.append(UpBlock(channels, out))
            channels = out + widths[level] + keypoints
        self.res = nn.Sequential(*(ResBlock(channels) for _ in range(config.num_res_blocks)))
        self.last = nn.Conv2d(channels, 3, 1)

    def encode(self, image: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b _c _h _w"], ...]:
        features = []
        for down in self.down:
            image = down(image)
            features.append(image)
        return tuple(features)

    def forward(self, source: View, driving: GaussianKeypoints, motion: Motion) -> Float[Tensor, "b 3 h w"]:
        small = self.resize(source.image)
        with torch.autocast(small.device.type, enabled=False):
            moved = difference_maps(source.keypoints, driving, (small.shape[2], small.shape[3]), self.pixels.grid)
        *skips, x = (self._warped(level, motion, moved) for level in (source.image, *source.appearance.features))
        for up, skip in zip(self.up, reversed(skips), strict=True):
            x = torch.cat([up(x, (skip.shape[2], skip.shape[3])), skip], dim=1)
        return torch.sigmoid(self.last(self.res(x)).float())

    def _warped(self, level: Tensor, motion: Motion, moved: Float[Tensor, "b k h w"]) -> Float[Tensor, "b c _h _w"]:
        beside = F.interpolate(moved, (level.shape[2], level.shape[3]), mode="bilinear", align_corners=False)
        return torch.cat([self.pixels.warp(level, motion.flow), beside.to(level.dtype)], dim=1)


def own_covariance(
    source: GaussianKeypoints, initial: GaussianKeypoints, driving: GaussianKeypoints
) -> Float[Tensor, "b k 2 2"]:
    """The driving frame's."""
    return driving.covariance


def adapted_covariance(
    source: GaussianKeypoints, initial: GaussianKeypoints, driving: GaussianKeypoints
) -> Float[Tensor, "b k 2 2"]:
    """V_d V_d0^-1 V_s, made symmetric and positive."""
    carried = driving.covariance @ invert_2x2(initial.covariance) @ source.covariance
    values, vectors = torch.linalg.eigh((carried + carried.mT) / 2)
    positive = torch.where(values > 0, values, LEAST_EIGENVALUE)
    adapted: Tensor = vectors @ torch.diag_embed(positive) @ vectors.mT
    return adapted


def level_reconstruction(values: Any) -> Float[Tensor, ""]:
    """Mean L1 between the discriminator's views of driving and generated frame, over image and blocks, weighted.

    Keypoints learn through the heatmaps of both: nothing is detached.
    """
    return sum_of_levels(level_distances(values.judged_through, values.judged_fake))


def level_distances(real: Judgement, fake: Judgement) -> list[Float[Tensor, ""]]:
    """The mean L1 of each level, unweighted."""
    return [(a.float() - b.float()).abs().mean() for a, b in zip(real.features, fake.features, strict=True)]


def sum_of_levels(distances: list[Float[Tensor, ""]]) -> Float[Tensor, ""]:
    weights = (*LEVEL_WEIGHTS[: len(distances) - 1], LEVEL_WEIGHTS[-1])
    return torch.stack([weight * distance for weight, distance in zip(weights, distances, strict=True)]).sum()


class MonkeyNet(Family):
    """The whole model. The driving code is `GaussianKeypoints`; relative motion adds the driver's displacements."""

    own_terms: ClassVar[Mapping[str, OwnTerm]] = MappingProxyType(
        {"level_reconstruction": OwnTerm(level_reconstruction, ("judgements", "judged_through"))}
    )

    def __init__(self, config: MonkeyNetConfig):
        super().__init__()
        self.pixels = PIXELS[config.pixels]
        self.spread = adapted_covariance if config.adapts_covariance else own_covariance
        self.keypoints = GaussianDetector(config)
        self.motion = CorrectedMotion(config)
        self.generator = WarpedUNet(config)

    def watching(self) -> list[nn.Module]:
        return [self.keypoints]

    def view(self, image: Float[Tensor, "b 3 h w"]) -> View:
        return View(image, None, self.keypoints(image))

    def encode(self, view: View) -> View:
        return view._replace(appearance=WarpedSkips(self.generator.encode(view.image)))

    def mover(
        self,
        source: GaussianKeypoints,
        initial: GaussianKeypoints,
        relative: bool = True,
        adapt_scale: bool = False,
    ) -> Callable[[GaussianKeypoints], GaussianKeypoints]:
        """m_s + scale (m_d - m_d0); `adapt_scale`: by the square root of the ratio of hull areas."""
        if not relative:
            return lambda driving: driving
        points = Keypoints(source.position), Keypoints(initial.position)
        scale = position_scale(*points)[:, None, None] if adapt_scale else 1.0

        def moved(driving: GaussianKeypoints) -> GaussianKeypoints:
            position = source.position + scale * (driving.position - initial.position)
            return GaussianKeypoints(position, self.spread(source, initial, driving))

        return moved

    def difference(self, source: GaussianKeypoints, driving: GaussianKeypoints) -> Float[Tensor, " t"]:
        return offset_transfer.difference(Keypoints(source.position), Keypoints(driving.position))

    def render(
        self,
        source: View,
        driving: GaussianKeypoints,
        with_attention: bool = False,
        background: Float[Tensor, "b 2 3"] | None = None,
    ) -> Rendering:
        encoded = source if source.appearance is not None else self.encode(source)
        motion: Motion = self.motion(encoded.image, encoded.keypoints, driving)
        generated = self.generator(encoded, driving, motion)
        return Rendering(generated, motion.flow, motion.mask, None, self.pixels.warp(encoded.image, motion.flow))


@dataclass(frozen=True, kw_only=True)
class MonkeyNetDiscriminatorConfig:
    """The published discriminator: image and driving heatmaps; every block is pooled. Images of 128x128 or more."""

    width: int = 64
    cap: int = 256
    num_blocks: int = 4
    num_keypoints: int = 10
    pixels: PixelConvention = "centres"

    def build(self) -> "HeatmapDiscriminator":
        return HeatmapDiscriminator(self)


class HeatmapDiscriminator(nn.Module):
    """Image and driving code to a judgement, whose first feature is the image."""

    def __init__(self, config: MonkeyNetDiscriminatorConfig):
        super().__init__()
        self.pixels: Pixels = PIXELS[config.pixels]
        widths = [3 + config.num_keypoints] + [min(config.cap, config.width * 2**i) for i in range(config.num_blocks)]
        self.blocks = nn.ModuleList(
            DiscriminatorBlock(widths[i], widths[i + 1], normalised=i > 0, pooled=True, spectral=False)
            for i in range(config.num_blocks)
        )
        self.prediction = nn.Conv2d(widths[-1], 1, 1)

    def forward(self, image: Float[Tensor, "b 3 h w"], driving: GaussianKeypoints) -> Judgement:
        with torch.autocast(image.device.type, enabled=False):
            maps = HEATMAP_SCALE * heatmaps(driving, (image.shape[2], image.shape[3]), self.pixels.grid)
        features = [image]
        x = torch.cat([image, maps.to(image.dtype)], dim=1)
        for block in self.blocks:
            x = block(x)
            features.append(x)
        return Judgement(self.prediction(x), tuple(features))
