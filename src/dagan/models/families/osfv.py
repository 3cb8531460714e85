"""OSFV, also known as face-vid2vid (Wang, Mallya, Liu, CVPR 2021): a source's feature volume is moved by keypoints in
three dimensions, which head pose and expression of the driving frame place. The head's angles can be set freely.

The driver's own keypoints are never used: both frames' points are the source's canonical ones, moved. There are no
jacobians. FDN and CAM of DaGAN fit in two places (docs/families.md): canonical keypoints from RGB-D, and attention from
depth to the projected feature; the volume itself has no partner in a depth map, and the pose network stays RGB.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from dagan.errors import UserError
from dagan.face import MEAN_FACE
from dagan.geometry.volume import VOXELS
from dagan.geometry.warp import PIXELS, occlude
from dagan.models.decoder import PlainDecoder, PlainDecoderConfig
from dagan.models.depth import FaceDepthConfig
from dagan.models.families.osfv_motion import CanonicalConfig, VolumeMotion, VolumeMotionConfig
from dagan.models.families.osfv_pose import ANGLES, ROTATIONS, HeadCode, PoseNetConfig, RotationName, compose
from dagan.models.family import Family, HeadTurn, OwnTerm
from dagan.models.generator import DepthEncoder, NoDepthEncoder
from dagan.models.keypoints import Modality
from dagan.models.refine import PassThroughConfig, RefineConfig
from dagan.models.spade import SLOPE, SpadeBlock
from dagan.nn.blocks import DownBlock, SameBlock
from dagan.nn.volumes import ResBlock3d
from dagan.transfer.head_pose import fit_pose
from dagan.types import CodeView, Decoded, Rendering

THIRD_SLOPE = 0.01  # of the leaky ReLU after the projection
LEAST_DISTANCE = 0.1  # squared, between two keypoints
MEAN_DEPTH = 0.33  # of the keypoints


class VolumeAppearance(NamedTuple):
    """What is kept of a source: its canonical keypoints, its feature volume, and with CAM its depth features."""

    canonical: Float[Tensor, "b k 3"]
    volume: Float[Tensor, "b c d h w"]
    depth_features: Float[Tensor, "b c2 h w"] | None


@dataclass(frozen=True, kw_only=True)
class FeatureSpadeConfig:
    """The SPADE decoder of later published models: the projected feature itself is the guide."""

    width: int = 512
    num_blocks: int = 6
    up_widths: tuple[int, ...] = (256, 64)
    hidden: int = 128

    def build(self, widths: tuple[int, ...]) -> "FeatureSpade":
        if len(self.up_widths) != len(widths) - 1:
            raise ValueError(f"the SPADE decoder doubles {len(self.up_widths)} times; the encoder halves otherwise")
        return FeatureSpade(self, widths[-1])


class FeatureSpade(nn.Module):
    """Refined feature to image; the other arguments of a decoder are not looked at."""

    def __init__(self, config: FeatureSpadeConfig, guide: int):
        super().__init__()
        self.expand = nn.Conv2d(guide, config.width, 3, padding=1)
        self.blocks = nn.ModuleList(
            SpadeBlock(config.width, config.width, guide, config.hidden) for _ in range(config.num_blocks)
        )
        widths = (config.width, *config.up_widths)
        self.up = nn.ModuleList(
            SpadeBlock(widths[i], widths[i + 1], guide, config.hidden) for i in range(len(config.up_widths))
        )
        self.last = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, refined: Float[Tensor, "b c h w"], *_: Any) -> Decoded:
        x = self.expand(refined)
        for block in self.blocks:
            x = block(x, refined)
        for up in self.up:
            x = up(F.interpolate(x, scale_factor=2, mode="nearest"), refined)
        return Decoded(torch.sigmoid(self.last(F.leaky_relu(x, SLOPE)).float()))


@dataclass(frozen=True, kw_only=True)
class VolumeGeneratorConfig:
    """Published: two down blocks from width 64, a volume of 32 channels and 16 slices, six residual blocks in it."""

    width: int = 64
    num_down: int = 2
    kernel: int = 7  # of the first convolution; 3 beside the SPADE decoder
    volume_channels: int = 32
    depth_size: int = 16
    num_volume_blocks: int = 6
    refine: RefineConfig = PassThroughConfig()
    decoder: PlainDecoderConfig | FeatureSpadeConfig = PlainDecoderConfig()

    @property
    def widths(self) -> tuple[int, ...]:
        return tuple(self.width * 2**i for i in range(self.num_down + 1))

    def build(self) -> "VolumeGenerator":
        return VolumeGenerator(self)


class VolumeGenerator(nn.Module):
    """Source image to a feature volume; the moved volume, projected and occluded, to the generated image."""

    decoder: PlainDecoder | FeatureSpade

    def __init__(self, config: VolumeGeneratorConfig):
        super().__init__()
        self.depth_size = config.depth_size
        widths, flat = config.widths, config.volume_channels * config.depth_size
        self.first = SameBlock(3, widths[0], config.kernel)
        self.down = nn.ModuleList(DownBlock(widths[i], widths[i + 1]) for i in range(config.num_down))
        self.second = nn.Conv2d(widths[-1], flat, 1)
        self.volume_res = nn.Sequential(*(ResBlock3d(config.volume_channels) for _ in range(config.num_volume_blocks)))
        self.third = SameBlock(flat, widths[-1])
        self.fourth = nn.Conv2d(widths[-1], widths[-1], 1)
        self.depth_encoder = DepthEncoder(widths) if config.refine.needs_depth else NoDepthEncoder()
        self.refine = config.refine.build(widths[-1])
        self.decoder = config.decoder.build(widths)

    def encode(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c d _h _w"]:
        x = self.first(image)
        for down in self.down:
            x = down(x)
        volume: Tensor = self.volume_res(rearrange(self.second(x), "b (c d) h w -> b c d h w", d=self.depth_size))
        return volume

    def project(self, volume: Float[Tensor, "b c d h w"]) -> Float[Tensor, "b c2 h w"]:
        """The volume, seen from the front."""
        flat = self.third.norm(self.third.conv(volume.flatten(1, 2)))
        projected: Tensor = self.fourth(F.leaky_relu(flat, THIRD_SLOPE))
        return projected

    def forward(
        self,
        projected: Float[Tensor, "b c h w"],
        depth_features: Float[Tensor, "b c h w"] | None,
        warped_image: Float[Tensor, "b 3 H W"],
        occlusion: Float[Tensor, "b 1 h w"],
        driving: Float[Tensor, "b k 2"],
        with_attention: bool,
    ) -> tuple[Float[Tensor, "b 3 H W"], Tensor | None]:
        refined, attention = self.refine(occlude(projected, occlusion), depth_features, with_attention)
        decoded: Decoded = self.decoder(refined, (), warped_image, occlusion, driving)
        return decoded.image, attention


@dataclass(frozen=True, kw_only=True)
class OsfvConfig:
    """The whole model; the default has the published sizes. `rotation`: new and beta are those of published models."""

    depth: FaceDepthConfig | None = None
    keypoints: CanonicalConfig = CanonicalConfig()
    pose: PoseNetConfig = PoseNetConfig()
    motion: VolumeMotionConfig = VolumeMotionConfig()
    generator: VolumeGeneratorConfig = VolumeGeneratorConfig()
    rotation: RotationName = "ours"

    def __post_init__(self) -> None:
        if self.depth is None and (self.keypoints.modality is Modality.RGBD or self.generator.refine.needs_depth):
            raise ValueError("RGB-D keypoints and cross-modal attention need a depth network: set depth")
        if self.keypoints.voxels != self.motion.voxels:
            raise ValueError("keypoints and motion must have the same voxels: one meaning of coordinates")

    def build(self) -> "Osfv":
        return Osfv(self)


def keypoint_spread(points: Float[Tensor, "b k 3"]) -> Float[Tensor, ""]:
    """Sum over ordered pairs i != j of the mean over images of max(0, 0.1 - |x_i - x_j|^2)."""
    squared = (points[:, :, None] - points[:, None]).square().sum(-1)
    others = 1 - torch.eye(points.shape[1], device=points.device)
    return ((LEAST_DISTANCE - squared).clamp_min(0) * others).sum() / len(points)


def keypoint_depth(points: Float[Tensor, "b k 3"]) -> Float[Tensor, ""]:
    """How far the mean depth of the keypoints is from its place."""
    return (points[..., 2].mean(1) - MEAN_DEPTH).abs().mean()


def expression_size(expression: Float[Tensor, "b k 3"]) -> Float[Tensor, ""]:
    """Mean over images of the sum of |delta|: what the head's turn can explain is no expression."""
    return expression.abs().sum((1, 2)).mean()


def _points(values: Any, code: HeadCode) -> Float[Tensor, "b k 3"]:
    return compose(values.source.appearance.canonical, code)


def _canonical_equivariance(values: Any) -> Float[Tensor, ""]:
    """L_E on (x, y) of the source's points under the pose of the driving frame and of the same frame, warped."""
    driving, transformed = (_points(values, code)[..., :2] for code in (values.driving.code, values.transformed))
    distance: Tensor = (driving - values.plane_warp(transformed)).abs().mean()
    return distance


def _keypoint_prior(values: Any) -> Float[Tensor, ""]:
    points = _points(values, values.driving.code)
    return keypoint_spread(points) + keypoint_depth(points)


def _head_pose(values: Any) -> Float[Tensor, ""]:
    """Sum over the angles of the mean difference, in degrees, from a head fitted to the driving frame's landmarks."""
    landmarks = values.batch.driving_landmarks
    return head_pose_distance(values.driving.code.rotation, landmarks.position, landmarks.found)


def head_pose_distance(
    rotation: Float[Tensor, "b 3 3"], landmarks: Float[Tensor, "b n 2"], found: Tensor
) -> Float[Tensor, ""]:
    """As `_head_pose`, over images in which a face was found."""
    with torch.no_grad():
        fitted = fit_pose(landmarks.float(), landmarks.new_tensor(MEAN_FACE)[None].float()).rotation
        wanted = ROTATIONS["ours"].degrees(fitted)
    apart = (ROTATIONS["ours"].degrees(rotation) - wanted).abs().sum(-1)
    return (apart * found).sum() / found.sum().clamp_min(1)


class Osfv(Family):
    """The whole model. The driving code is `HeadCode`; relative motion turns the source's head as the driver's turned,
    and adds changes of translation and expression."""

    own_terms: ClassVar[Mapping[str, OwnTerm]] = MappingProxyType(
        {
            "canonical_equivariance": OwnTerm(_canonical_equivariance, ("transformed",)),
            "keypoint_prior": OwnTerm(_keypoint_prior),
            "head_pose": OwnTerm(_head_pose, needs_landmarks=True),
            "expression_size": OwnTerm(lambda values: expression_size(values.driving.code.expression)),
        }
    )

    def __init__(self, config: OsfvConfig):
        super().__init__()
        self.pixels = PIXELS[config.keypoints.voxels]
        self.voxels = VOXELS[config.motion.voxels]
        self.rotation = ROTATIONS[config.rotation]
        self.depth = config.depth.build() if config.depth is not None else None
        self.keypoints = config.keypoints.build()
        self.pose = config.pose.build(config.keypoints.num_keypoints)
        generator = config.generator
        self.motion = config.motion.build(
            config.keypoints.num_keypoints, generator.volume_channels, generator.depth_size
        )
        self.generator = generator.build()

    def given(self) -> list[nn.Module]:
        """F_d, where FDN or CAM use it."""
        return [self.depth] if self.depth is not None else []

    def watching(self) -> list[nn.Module]:
        return [self.pose]

    def view(self, image: Float[Tensor, "b 3 h w"]) -> CodeView:
        reading = self.pose(image)
        rotation = self.rotation.matrix(reading.degrees)
        return CodeView(image, HeadCode(rotation, reading.translation, reading.expression))

    def encode(self, view: CodeView) -> CodeView:
        depth = self.depth(view.image) if self.depth is not None else None
        canonical = self.keypoints(view.image, depth)
        volume = self.generator.encode(view.image)
        return view._replace(appearance=VolumeAppearance(canonical, volume, self.generator.depth_encoder(depth)))

    def mover(
        self, source: HeadCode, initial: HeadCode, relative: bool = True, adapt_scale: bool = False
    ) -> Callable[[HeadCode], HeadCode]:
        """R_d R_d0^T R_s, t_s + t_d - t_d0, delta_s + delta_d - delta_d0."""
        if adapt_scale:
            raise UserError("OSFV moves the source's own keypoints, so there is no scale to adapt: no --adapt-scale")
        if not relative:
            return lambda driving: driving
        back = initial.rotation.mT @ source.rotation
        shift = source.translation - initial.translation
        change = source.expression - initial.expression

        def moved(driving: HeadCode) -> HeadCode:
            return HeadCode(driving.rotation @ back, driving.translation + shift, driving.expression + change)

        return moved

    def turned(self, code: HeadCode, turn: HeadTurn) -> HeadCode:
        """The code with angles added to, or fixed: free view. Yaw stays within 90 degrees."""
        unknown = sorted({*turn.added, *turn.fixed} - set(ANGLES))
        if unknown:
            raise UserError(f"a head has no angle {unknown[0]!r} to turn; it has: {', '.join(ANGLES)}")
        found = self.rotation.degrees(code.rotation).unbind(-1)
        degrees = [
            torch.full_like(angle, turn.fixed[name]) if name in turn.fixed else angle + turn.added.get(name, 0.0)
            for name, angle in zip(ANGLES, found, strict=True)
        ]
        return code._replace(rotation=self.rotation.matrix(torch.stack(degrees, -1)))

    def difference(self, source: HeadCode, driving: HeadCode) -> Float[Tensor, " t"]:
        """Squared distances of rotations and of expressions."""
        turn = (source.rotation - driving.rotation).square().sum((1, 2))
        return turn + (source.expression - driving.expression).square().sum((1, 2))

    def render(
        self,
        source: CodeView,
        driving: HeadCode,
        with_attention: bool = False,
        background: Float[Tensor, "b 2 3"] | None = None,
    ) -> Rendering:
        """`flow` and `mask` are means over the volume's depth."""
        encoded: CodeView = source if source.appearance is not None else self.encode(source)
        kept: VolumeAppearance = encoded.appearance
        points = compose(kept.canonical, encoded.code), compose(kept.canonical, driving)
        motion: VolumeMotion = self.motion(kept.volume, *points)
        projected = self.generator.project(self.voxels.warp(kept.volume, motion.flow))
        flow = motion.flow[..., :2].mean(1)
        warped = self.pixels.warp(encoded.image, flow)
        generated, attention = self.generator(
            projected, kept.depth_features, warped, motion.occlusion, points[1][..., :2], with_attention
        )
        return Rendering(generated, flow, motion.mask.mean(2), motion.occlusion, warped, attention)
