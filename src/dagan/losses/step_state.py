"""One training step's tensors as the loss terms read them (`losses/objective.py`)."""

from functools import cached_property
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call

from dagan.data.landmarks import FaceLandmarks
from dagan.geometry.registration import affine_flow
from dagan.geometry.tps import PlaneWarp
from dagan.geometry.warp import warp
from dagan.losses.landmark_guidance import random_similarities
from dagan.losses.perceptual import PerceptualLoss
from dagan.models.discriminator import Discriminator, Judgement
from dagan.models.talking_head import TalkingHead
from dagan.types import DenseMotion, Keypoints, Rendering, View

SAMPLES_A_REENACTMENT = 4  # one person's photo moved by another's motion, for so many samples of a step


class PairBatch(NamedTuple):
    """Source and driving frames of one clip each, with landmarks when they are known."""

    source: Float[Tensor, "b 3 h w"]
    driving: Float[Tensor, "b 3 h w"]
    source_landmarks: FaceLandmarks | None = None
    driving_landmarks: FaceLandmarks | None = None


class Share(NamedTuple):
    """Which of a step's samples a batch has, when processes or micro-batches divide them: random numbers are drawn for
    all `total` samples and those of `rows` kept, so that the parts together make the step of the whole."""

    total: int
    rows: slice


class StepState:
    """One training step's tensors, each made when a term first asks: an absent term costs nothing."""

    def __init__(
        self,
        model: TalkingHead,
        discriminator: Discriminator,
        perceptual: PerceptualLoss,
        batch: PairBatch,
        share: Share | None = None,
    ):
        self.model, self.discriminator, self.perceptual, self.batch = model, discriminator, perceptual, batch
        self.share = share or Share(len(batch.driving), slice(None))

    @cached_property
    def source(self) -> View:
        return self.model.detect(self.batch.source)

    @cached_property
    def driving(self) -> View:
        return self.model.detect(self.batch.driving)

    @cached_property
    def motion(self) -> DenseMotion:
        background = self.model.background(self.batch.source, self.batch.driving)
        motion: DenseMotion = self.model.motion(self.batch.source, self.source.keypoints, self.driven, background)
        return motion

    @cached_property
    def driven(self) -> Keypoints:
        """The driving keypoints as the source follows them."""
        return self.model.follow(self.source, self.driving)

    @cached_property
    def rendering(self) -> Rendering:
        source = self.model.encode(self.source)
        rendering: Rendering = self.model.generator(source, self.motion, self.driven)
        return rendering

    @cached_property
    def plane_warp(self) -> PlaneWarp:
        """A random T, drawn from PyTorch's global generator."""
        warps = PlaneWarp.random(self.share.total, torch.default_generator, self.batch.driving)
        return warps.of(self.share.rows)

    @cached_property
    def transformed(self) -> Keypoints:
        """Keypoints of the driving frame sampled at T(z): L_E's second look."""
        size = (self.batch.driving.shape[2], self.batch.driving.shape[3])
        pixels = self.model.keypoints.pixels
        grid = self.plane_warp.grid(*size, pixels.grid)
        corners = pixels.align_corners
        image = F.grid_sample(self.batch.driving, grid, padding_mode="reflection", align_corners=corners)
        return self.model.detect(image).keypoints

    @cached_property
    def window(self) -> Float[Tensor, "b 2 3"]:
        """A random window [A t] that the driving frame is seen through, drawn from PyTorch's global generator."""
        windows = random_similarities(self.share.total, torch.default_generator, self.batch.driving)
        return windows[self.share.rows]

    @cached_property
    def moved(self) -> Keypoints:
        """Keypoints of the driving frame seen through the window."""
        frame = self.batch.driving
        seen = warp(frame, affine_flow(self.window, frame.shape[2], frame.shape[3]))
        return self.model.detect(seen).keypoints

    @cached_property
    def found_again(self) -> Keypoints:
        """Keypoints of the generated frame, by the detector as it is: its weights get no gradient from this look. The
        depth beside it is the driving frame's, which it should have."""
        return self._found(self.rendering.generated, self.driving.depth)

    @cached_property
    def asked(self) -> Keypoints:
        """Keypoints that move the first sources of the batch, one in `SAMPLES_A_REENACTMENT`, as the next sample's
        person moved between its two frames; without gradient."""
        count = -(-len(self.batch.source) // SAMPLES_A_REENACTMENT)
        with torch.no_grad():
            source, driving = (self.model.read(view).keypoints for view in (self.source, self.driving))
            rest, now = (_first(_next_sample(keypoints), count) for keypoints in (source, driving))
            return self.model.mover(_first(source, count), rest)(now)

    @cached_property
    def reenacted(self) -> Rendering:
        """The first sources moved to `asked`: nobody knows what that looks like, but its keypoints are known."""
        count = len(self.asked.position)
        depth = self.source.depth[:count] if self.source.depth is not None else None
        source = View(self.batch.source[:count], depth, _first(self.source.keypoints, count))
        rendering: Rendering = self.model.render(source, self.asked)
        return rendering

    @cached_property
    def found_reenacted(self) -> Keypoints:
        """Keypoints of the reenacted frames, as `found_again`; the depth beside them is that of their own."""
        image = self.reenacted.generated
        with torch.no_grad():
            depth = self.model.depth(image) if self.model.depth is not None else None
        return self._found(image, depth)

    def _found(self, image: Float[Tensor, "b 3 h w"], depth: Float[Tensor, "b 1 h w"] | None) -> Keypoints:
        detector = self.model.keypoints
        fixed = {name: tensor.detach().clone() for name, tensor in detector.state_dict().items()}
        found: Keypoints = functional_call(detector, fixed, (image, depth))
        return found

    @cached_property
    def judged_real(self) -> Judgement:
        """D's judgement of the driving frame, with its graph: D's own step needs it again, and D stays as it is."""
        keypoints = self.driving.keypoints
        frozen = [parameter for parameter in self.discriminator.parameters() if not parameter.requires_grad]
        self.discriminator.requires_grad_(True)
        judgement: Judgement = self.discriminator(self.batch.driving, keypoints)
        for parameter in frozen:
            parameter.requires_grad_(False)
        return judgement

    @cached_property
    def judged_fake(self) -> Judgement:
        judgement: Judgement = self.discriminator(self.rendering.generated, self.driving.keypoints)
        return judgement


def _first(keypoints: Keypoints, count: int) -> Keypoints:
    return keypoints.each(lambda part: part[:count])


def _next_sample(keypoints: Keypoints) -> Keypoints:
    return keypoints.each(lambda part: part.roll(-1, 0))
