"""TalkingHead: the joining of depth, keypoints, motion and generator (Fig. 2)."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from dagan.geometry.registration import register
from dagan.models.decoder import BlendDecoderConfig
from dagan.models.depth import FaceDepthConfig, FaceDepthNet
from dagan.models.generator import Generator, GeneratorConfig
from dagan.models.keypoints import KeypointConfig, KeypointDetector, Modality
from dagan.models.motion import DenseMotionNet, MotionConfig
from dagan.types import Keypoints, Rendering, View


@dataclass(frozen=True, kw_only=True)
class TalkingHeadConfig:
    """The whole model as one value; the default is the paper's Baseline (Table 4)."""

    depth: FaceDepthConfig | None = None
    keypoints: KeypointConfig = KeypointConfig()
    motion: MotionConfig = MotionConfig()
    generator: GeneratorConfig = GeneratorConfig()

    def __post_init__(self) -> None:
        if self.depth is None and self.keypoints.modality is Modality.RGBD:
            raise ValueError("RGB-D keypoints need a depth network: set depth, or keypoints.modality to rgb")
        if self.depth is None and self.generator.refine.needs_depth:
            raise ValueError("cross-modal attention needs a depth network: set depth, or another refine")
        if self.motion.local_motion == "affine" and not self.keypoints.has_jacobian:
            raise ValueError("affine local motion needs jacobians: set keypoints.has_jacobian")
        decoder, found = self.generator.decoder, self.keypoints.num_keypoints
        if isinstance(decoder, BlendDecoderConfig) and decoder.num_points > found:
            raise ValueError(
                f"the decoder draws {decoder.num_points} keypoints of {found}: set fewer decoder.num_points"
            )
        if len({self.keypoints.pixels, self.motion.pixels, self.generator.pixels}) > 1:
            raise ValueError("keypoints, motion and generator must have the same pixels: one meaning of coordinates")

    def build(self) -> "TalkingHead":
        return TalkingHead(
            self.depth.build() if self.depth is not None else None,
            self.keypoints.build(),
            self.motion.build(self.keypoints.num_keypoints),
            self.generator.build(),
        )


class TalkingHead(nn.Module):
    """Source image + driving image to generated image (DaGAN, Fig. 2). Images are squares of a multiple of 32."""

    def __init__(
        self,
        depth: FaceDepthNet | None,
        keypoints: KeypointDetector,
        motion: DenseMotionNet,
        generator: Generator,
    ):
        super().__init__()
        self.depth = depth
        self.keypoints = keypoints
        self.motion = motion
        self.generator = generator

    def view(self, image: Float[Tensor, "b 3 h w"]) -> View:
        """An image with its depth D (Eq. 1) and keypoints (Eq. 6)."""
        depth = self.depth(image) if self.depth is not None else None
        return View(image, depth, self.keypoints(image, depth))

    def encode(self, view: View) -> View:
        """The view with the generator's features of it filled in: call once per source."""
        return view._replace(appearance=self.generator.encode(view.image, view.depth))

    def background(
        self, source: Float[Tensor, "b 3 h w"], driving: Float[Tensor, "b 3 h w"]
    ) -> Float[Tensor, "b 2 3"] | None:
        """How the background moved between two frames of one video; None for models in which it stands still."""
        return register(source, driving, "background") if self.motion.follows_background else None

    def render(
        self,
        source: View,
        driving: Keypoints,
        with_attention: bool = False,
        background: Float[Tensor, "b 2 3"] | None = None,
    ) -> Rendering:
        """The source moved to the driving keypoints; a source that was not encoded yet is encoded here.

        `background`: from `background()`, where both are of one video; None: it stands still.
        """
        encoded = source if source.appearance is not None else self.encode(source)
        motion = self.motion(encoded.image, encoded.keypoints, driving, background)
        rendering: Rendering = self.generator(encoded, motion, driving, with_attention)
        return rendering

    def forward(self, source: Float[Tensor, "b 3 h w"], driving: Float[Tensor, "b 3 h w"]) -> Rendering:
        """The source moved as in the driving frame of the same video."""
        return self.render(self.view(source), self.view(driving).keypoints, background=self.background(source, driving))
