"""The weighted sum of loss terms (Eq. 10), and the state of one step that terms read."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torch.func import functional_call

from dagan.data.landmarks import FaceLandmarks
from dagan.geometry.registration import affine_flow, register
from dagan.geometry.tps import PlaneWarp
from dagan.geometry.warp import warp
from dagan.losses.adversarial import feature_matching, generator_adversarial
from dagan.losses.equivariance import equivariance, jacobian_equivariance
from dagan.losses.expression import expressive_reconstruction
from dagan.losses.keypoint_distance import keypoint_distance
from dagan.losses.landmark_guidance import landmark_guidance, opening_guidance, random_similarities, seen_through
from dagan.losses.perceptual import PerceptualLoss
from dagan.losses.torso_guidance import torso_guidance
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
        return self.model.view(self.batch.source)

    @cached_property
    def driving(self) -> View:
        return self.model.view(self.batch.driving)

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
        return self.model.view(image).keypoints

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
        return self.model.view(seen).keypoints

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
        rest, driving = (_first(_next_sample(view.keypoints), count) for view in (self.source, self.driving))
        with torch.no_grad():
            return self.model.mover(_first(self.source.keypoints, count), rest)(driving)

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
    position, jacobian = keypoints
    return Keypoints(position[:count], jacobian[:count] if jacobian is not None else None)


def _next_sample(keypoints: Keypoints) -> Keypoints:
    position, jacobian = keypoints
    return Keypoints(position.roll(-1, 0), jacobian.roll(-1, 0) if jacobian is not None else None)


def _perceptual(state: StepState) -> Tensor:
    loss: Tensor = state.perceptual(state.rendering.generated, state.batch.driving)
    return loss


def _warped_perceptual(state: StepState) -> Tensor:
    """L_P of the source moved by the flow alone, at the flow's size: trains motion without a generator."""
    size = (state.motion.flow.shape[1], state.motion.flow.shape[2])
    source, driving = (
        F.interpolate(image, size, mode="bilinear", align_corners=False, antialias=True)
        for image in (state.batch.source, state.batch.driving)
    )
    loss: Tensor = state.perceptual(warp(source, state.motion.flow), driving)
    return loss


def _keypoint_distance(state: StepState) -> Tensor:
    return keypoint_distance(state.source.keypoints.position) + keypoint_distance(state.driving.keypoints.position)


def _guidance_of_both(state: StepState, name: str, guidance: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
    """Of the source's keypoints and the driving frame's."""
    pairs = ((state.source, state.batch.source_landmarks), (state.driving, state.batch.driving_landmarks))
    losses = [
        guidance(view.keypoints.position, landmarks.position, landmarks.found)
        for view, landmarks in pairs
        if landmarks is not None
    ]
    if not losses:
        raise ValueError(f"the objective has {name} but the batch has no landmarks")
    return torch.stack(losses).sum()


def _driving_landmarks(state: StepState, name: str) -> FaceLandmarks:
    """Raises ValueError when the term of that name finds none."""
    if state.batch.driving_landmarks is None:
        raise ValueError(f"the objective has {name} but the batch has no landmarks")
    return state.batch.driving_landmarks


def _moved_landmark_guidance(state: StepState) -> Tensor:
    """landmark_guidance on the driving frame as it is seen through a window turned, zoomed and shifted at random."""
    landmarks = _driving_landmarks(state, "moved_landmark_guidance")
    aims = seen_through(state.window, landmarks.position)
    whole = landmarks.found & _in_frame(aims)  # a keypoint cannot leave the frame
    return landmark_guidance(state.moved.position, aims, whole)


def _torso_guidance(state: StepState) -> Tensor:
    landmarks = _driving_landmarks(state, "torso_guidance")  # all keypoints after theirs are free
    torso = register(state.batch.source, state.batch.driving, "torso")
    return torso_guidance(state.source.keypoints, state.driving.keypoints, torso, landmarks.position.shape[1])


def _expressive_reconstruction(state: StepState) -> Tensor:
    landmarks = _driving_landmarks(state, "expressive_reconstruction")
    generated, driving = state.rendering.generated, state.batch.driving
    return expressive_reconstruction(generated, driving, landmarks.position, landmarks.found)


def _opening_consistency(state: StepState) -> Tensor:
    """How differently open mouth and eyes look to the detector in the generated frame and in the driving one."""
    landmarks = _driving_landmarks(state, "opening_consistency")  # says whether there is a face
    return opening_guidance(state.found_again.position, state.driving.keypoints.position.detach(), landmarks.found)


def _reenacted_keypoints(state: StepState) -> Tensor:
    """How far the keypoints of a reenacted frame are from those asked for, where all of them lie in the frame."""
    asked = state.asked.position
    return landmark_guidance(state.found_reenacted.position, asked, _in_frame(asked))


def _reenacted_openings(state: StepState) -> Tensor:
    """How differently open mouth and eyes look to the detector in a reenacted frame from what was asked for."""
    landmarks, asked = _driving_landmarks(state, "reenacted_openings"), state.asked.position
    known = landmarks.found[: len(asked)] & _in_frame(asked)
    return opening_guidance(state.found_reenacted.position, asked, known)


def _in_frame(position: Float[Tensor, "b k 2"]) -> Bool[Tensor, " b"]:
    return (position.abs() <= 1).all(2).all(1)


TERMS: Mapping[str, Callable[[StepState], Tensor]] = {
    "perceptual": _perceptual,
    "warped_perceptual": _warped_perceptual,
    "reconstruction": lambda state: (state.rendering.generated - state.batch.driving).abs().mean(),
    "expressive_reconstruction": _expressive_reconstruction,
    "adversarial": lambda state: generator_adversarial(state.judged_fake),
    "feature_matching": lambda state: feature_matching(state.judged_real, state.judged_fake),
    "equivariance": lambda state: equivariance(state.driving.keypoints, state.transformed, state.plane_warp),
    "jacobian_equivariance": lambda state: jacobian_equivariance(
        state.driving.keypoints, state.transformed, state.plane_warp
    ),
    "keypoint_distance": _keypoint_distance,
    "keypoint_consistency": lambda state: (
        (state.found_again.position - state.driving.keypoints.position.detach()).abs().mean()
    ),
    "opening_consistency": _opening_consistency,
    "reenacted_keypoints": _reenacted_keypoints,
    "reenacted_openings": _reenacted_openings,
    "landmark_guidance": lambda state: _guidance_of_both(state, "landmark_guidance", landmark_guidance),
    "opening_guidance": lambda state: _guidance_of_both(state, "opening_guidance", opening_guidance),
    "moved_landmark_guidance": _moved_landmark_guidance,
    "moved_jacobian": lambda state: jacobian_equivariance(
        state.driving.keypoints, state.moved, PlaneWarp.affine(state.window)
    ),
    "torso_guidance": _torso_guidance,
}

NEED_LANDMARKS = frozenset(
    {
        "landmark_guidance",
        "opening_guidance",
        "opening_consistency",
        "reenacted_openings",
        "moved_landmark_guidance",
        "torso_guidance",
        "expressive_reconstruction",
    }
)  # of the batch

PAPER_OBJECTIVE = (  # lambda_P, lambda_G, lambda_E, lambda_D of Sec. 4.2; feature matching as FOMM weighs it
    ("perceptual", 10.0),
    ("adversarial", 1.0),
    ("feature_matching", 10.0),
    ("equivariance", 10.0),
    ("keypoint_distance", 10.0),
)


class Objective:
    """Named terms with weights; a term that is not listed is absent, not weighted zero."""

    def __init__(self, weights: tuple[tuple[str, float], ...]):
        unknown = [name for name, _ in weights if name not in TERMS]
        if unknown:
            raise ValueError(f"unknown loss term {unknown[0]!r}; known: {', '.join(TERMS)}")
        self.weights = dict(weights)

    @property
    def is_adversarial(self) -> bool:
        """Whether a discriminator must be trained beside the generator."""
        return "adversarial" in self.weights or "feature_matching" in self.weights

    def __call__(self, state: StepState) -> dict[str, Tensor]:
        """The unweighted terms."""
        return {name: TERMS[name](state) for name in self.weights}

    def total(self, terms: dict[str, Tensor]) -> Tensor:
        """The weighted sum (Eq. 10)."""
        return torch.stack([self.weights[name] * value.float() for name, value in terms.items()]).sum()
