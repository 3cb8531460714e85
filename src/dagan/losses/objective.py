"""The weighted sum of loss terms (Eq. 10)."""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from dagan.data.landmarks import FaceLandmarks
from dagan.geometry.registration import register
from dagan.geometry.tps import PlaneWarp
from dagan.geometry.warp import warp
from dagan.losses.adversarial import feature_matching, generator_adversarial
from dagan.losses.equivariance import equivariance, jacobian_equivariance
from dagan.losses.expression import expressive_reconstruction
from dagan.losses.keypoint_distance import keypoint_distance
from dagan.losses.landmark_guidance import landmark_guidance, opening_guidance, seen_through
from dagan.losses.step_state import StepState
from dagan.losses.torso_guidance import torso_guidance


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
