"""TalkingHead: the joining of depth, keypoints, motion and generator (Fig. 2)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dagan.face import NUM_LANDMARKS
from dagan.geometry.registration import on_torso, register
from dagan.models.composition import CompositionConfig
from dagan.models.decoder import BlendDecoderConfig
from dagan.models.dense_motion import DenseMotionNet, MotionConfig
from dagan.models.depth import FaceDepthConfig, FaceDepthNet
from dagan.models.family import Family
from dagan.models.generator import Generator, GeneratorConfig
from dagan.models.keypoints import KeypointConfig, KeypointDetector, Modality
from dagan.transfer.bounded import bounded
from dagan.transfer.face_edit import FaceEdit
from dagan.transfer.face_flow import whole_face
from dagan.transfer.face_reader import FaceReader, FaceReaderConfig
from dagan.transfer.face_transfer import face_transfer
from dagan.transfer.relative import Transfer, mover, offset_transfer
from dagan.transfer.retargeting import FaceRetargetingConfig
from dagan.types import DenseMotion, Keypoints, Rendering, View


@dataclass(frozen=True, kw_only=True)
class FaceConfig:
    """What a model knows of faces (not in the paper; docs/decisions.md): its first keypoints are `face.LANDMARKS`.

    The mask may then choose one smooth motion of the whole head (`transfer.face_flow`), the other keypoints follow the
    torso, and head turn and expression are transferred apart between people: by trained networks (`retargeting`; None:
    by displacement alone), from what MediaPipe's networks see in the image (`reader`; None: from the keypoints).
    """

    retargeting: FaceRetargetingConfig | None = FaceRetargetingConfig()
    reader: FaceReaderConfig | None = FaceReaderConfig()

    def transfer(self) -> Transfer:
        return face_transfer if self.retargeting is None else self.retargeting.build()


@dataclass(frozen=True, kw_only=True)
class TalkingHeadConfig:
    """The whole model as one value; the default is the paper's Baseline (Table 4).

    `side`: of the square images that it was trained on, in pixels; photos are shown to it at this size.
    """

    depth: FaceDepthConfig | None = None
    keypoints: KeypointConfig = KeypointConfig()
    motion: MotionConfig = MotionConfig()
    generator: GeneratorConfig = GeneratorConfig()
    face: FaceConfig | None = None
    composition: CompositionConfig = CompositionConfig()
    side: int = 256

    def __post_init__(self) -> None:
        if self.side < 32 or self.side % 32:
            raise ValueError(f"side is {self.side}; expected a multiple of 32, such as 256")
        if self.depth is None and self.keypoints.modality is Modality.RGBD:
            raise ValueError("RGB-D keypoints need a depth network: set depth, or keypoints.modality to rgb")
        if self.depth is None and self.generator.refine.needs_depth:
            raise ValueError("cross-modal attention needs a depth network: set depth, or another refine")
        if self.face is not None and self.keypoints.num_keypoints < NUM_LANDMARKS:
            raise ValueError(
                f"face needs {NUM_LANDMARKS} keypoints or more: set keypoints.num_keypoints, or face to null"
            )
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
        face = self.face
        return TalkingHead(
            self.depth.build() if self.depth is not None else None,
            self.keypoints.build(),
            self.motion.build(self.keypoints.num_keypoints, (whole_face,) if face is not None else ()),
            self.generator.build(),
            face.transfer() if face is not None else offset_transfer,
            face.reader.build() if face is not None and face.reader is not None else None,
            follows_torso=face is not None,
            composition=self.composition,
            side=self.side,
        )


class TalkingHead(Family):
    """Source image + driving image to generated image (DaGAN, Fig. 2). Images are squares of a multiple of 32.

    `retargeting` says how motion is transferred between people; it may have weights. `face_reader` sees landmarks and
    expression in an image; None: keypoints alone. `follows_torso`: the keypoints after the face's are the torso's.
    """

    def __init__(
        self,
        depth: FaceDepthNet | None,
        keypoints: KeypointDetector,
        motion: DenseMotionNet,
        generator: Generator,
        retargeting: Transfer = offset_transfer,
        face_reader: FaceReader | None = None,
        *,
        follows_torso: bool = False,
        composition: CompositionConfig | None = None,
        side: int = 256,
    ):
        super().__init__(composition, side)
        self.depth = depth
        self.keypoints = keypoints
        self.pixels = keypoints.pixels
        self.motion = motion
        self.generator = generator
        self.retargeting = retargeting
        self.face_reader = face_reader
        self.follows_torso = follows_torso

    def given(self) -> list[nn.Module]:
        """The parts that stage 2 never trains: F_d and the face reader."""
        return [part for part in (self.depth, self.face_reader) if part is not None]

    def watching(self) -> list[nn.Module]:
        """F_d, F_kp and the face reader."""
        return [part for part in (self.depth, self.keypoints, self.face_reader) if part is not None]

    def compilable(self) -> list[nn.Module]:
        generator = self.generator
        return [*self.watching(), self.motion, generator.encoder, generator.depth_encoder, generator.decoder]

    def view(self, image: Float[Tensor, "b 3 h w"]) -> View:
        """As `detect`, with what the face reader sees, if there is one: all that a transfer between people needs."""
        return self.read(self.detect(image))

    def detect(self, image: Float[Tensor, "b 3 h w"]) -> View:
        """An image with its depth D (Eq. 1) and keypoints (Eq. 6)."""
        depth = self.depth(image) if self.depth is not None else None
        return View(image, depth, self.keypoints(image, depth))

    def read(self, view: View) -> View:
        """The view with what the face reader sees in its image; without one, as it is."""
        if self.face_reader is None:
            return view
        landmarks, expression = self.face_reader(view.image, view.keypoints.position)
        return view._replace(keypoints=view.keypoints._replace(landmarks=landmarks, expression=expression))

    def encode(self, view: View) -> View:
        """The view with the generator's features of it filled in: call once per source."""
        return view._replace(appearance=self.generator.encode(view.image, view.depth))

    def background(
        self, source: Float[Tensor, "b 3 h w"], driving: Float[Tensor, "b 3 h w"]
    ) -> Float[Tensor, "b 2 3"] | None:
        """How the background moved between two frames of one video; None for models in which it stands still."""
        return register(source, driving, "background") if self.motion.follows_background else None

    def mover(
        self, source: Keypoints, driving_initial: Keypoints, relative: bool = True, adapt_scale: bool = False
    ) -> Callable[[Keypoints], Keypoints]:
        """From driving keypoints to those that move the source as the driver moved since its initial frame."""
        return mover(source, driving_initial, relative, adapt_scale, self.retargeting)

    def edited_mover(
        self, source: Keypoints, driving_initial: Keypoints, edit: FaceEdit, adapt_scale: bool = False
    ) -> Callable[[Keypoints], Keypoints]:
        return mover(source, driving_initial, True, adapt_scale, self.retargeting, edit)

    def transfer(self, source: Keypoints, initial: Keypoints) -> Callable[[Keypoints], Keypoints]:
        return self.retargeting(source, initial)

    def difference(self, source: Keypoints, driving: Keypoints) -> Float[Tensor, " t"]:
        return self.retargeting.difference(source, driving)

    def bounded(self, driving: Keypoints, rest: Keypoints) -> Keypoints:
        return bounded(driving, rest)

    def torso(
        self, source: Float[Tensor, "b 3 h w"], driving: Float[Tensor, "b 3 h w"]
    ) -> Float[Tensor, "b 2 3"] | None:
        """How the torso moved between two frames of one video; None for models that do not use it."""
        return register(source, driving, "torso") if self.follows_torso else None

    def follow(self, source: View, driving: View) -> Keypoints:
        """The driving keypoints for a source of the same video: keypoints outside of the face are placed where the
        torso went between the two frames, if the model uses that."""
        torso = self.torso(source.image, driving.image)
        return driving.keypoints if torso is None else self.place_torso(source.keypoints, driving.keypoints, torso)

    def place_torso(self, source: Keypoints, driving: Keypoints, torso: Float[Tensor, "b 2 3"]) -> Keypoints:
        """The driving keypoints, with those outside of the face where the torso (`torso()`) carried the source's."""
        with torch.autocast(torso.device.type, enabled=False):  # bfloat16 does not place a pixel
            return on_torso(source, driving, torso, NUM_LANDMARKS)

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

    def reenact(self, source: View, driving: View, with_attention: bool = False) -> Rendering:
        background = self.background(source.image, driving.image)
        return self.render(source, self.follow(source, driving), with_attention, background)

    def flow(self, source: View, driving: View) -> Float[Tensor, "b h w 2"]:
        background = self.background(source.image, driving.image)
        motion: DenseMotion = self.motion(source.image, source.keypoints, self.follow(source, driving), background)
        return motion.flow
