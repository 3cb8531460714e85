"""The weighted sum of loss terms (Eq. 10): what each term compares, and what it must be shown for that."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dagan.data.landmarks import FaceLandmarks
from dagan.geometry.registration import register
from dagan.geometry.tps import PlaneWarp
from dagan.losses.adversarial import (
    discriminator_adversarial,
    discriminator_hinge,
    feature_matching,
    generator_adversarial,
    generator_hinge,
)
from dagan.losses.equivariance import equivariance, jacobian_equivariance
from dagan.losses.expression import expressive_reconstruction
from dagan.losses.keypoint_distance import keypoint_distance
from dagan.losses.landmark_guidance import landmark_guidance, opening_guidance, seen_through
from dagan.losses.torso_guidance import torso_guidance
from dagan.losses.values import Look, PairBatch, Values
from dagan.models.families import FAMILIES, ModelConfig
from dagan.models.family import OwnTerm

VIEWS = frozenset({Look.SOURCE})
MOTION = VIEWS | {Look.FLOW}
RENDERED = MOTION | {Look.RENDERING}


class Term(NamedTuple):
    """A loss of one step's values, a scalar without its weight, and the looks that it needs."""

    function: Callable[[Values], Float[Tensor, ""]]
    looks: frozenset[Look] = frozenset()
    needs_landmarks: bool = False
    needs_jacobians: bool = False


def _reconstruction(values: Values) -> Float[Tensor, ""]:
    return (values.rendering.generated - values.batch.driving).abs().mean()


def _expressive_reconstruction(values: Values) -> Float[Tensor, ""]:
    landmarks = _landmarks(values)
    generated, driving = values.rendering.generated, values.batch.driving
    return expressive_reconstruction(generated, driving, landmarks.position, landmarks.found)


def _equivariance(values: Values) -> Float[Tensor, ""]:
    return equivariance(values.driving.keypoints, values.transformed, values.plane_warp)


def _jacobian_equivariance(values: Values) -> Float[Tensor, ""]:
    return jacobian_equivariance(values.driving.keypoints, values.transformed, values.plane_warp)


def _keypoint_distance(values: Values) -> Float[Tensor, ""]:
    return keypoint_distance(values.source.keypoints.position) + keypoint_distance(values.driving.keypoints.position)


def _landmark_guidance(values: Values) -> Float[Tensor, ""]:
    return _guidance_of_both(values, landmark_guidance)


def _opening_guidance(values: Values) -> Float[Tensor, ""]:
    return _guidance_of_both(values, opening_guidance)


def _guidance_of_both(
    values: Values, guidance: Callable[[Tensor, Tensor, Tensor], Float[Tensor, ""]]
) -> Float[Tensor, ""]:
    """Of the source's keypoints and the driving frame's."""
    pairs = ((values.source, values.batch.source_landmarks), (values.driving, values.batch.driving_landmarks))
    losses = [
        guidance(view.keypoints.position, landmarks.position, landmarks.found)
        for view, landmarks in pairs
        if landmarks is not None
    ]
    return torch.stack(losses).sum()


def _moved_landmark_guidance(values: Values) -> Float[Tensor, ""]:
    """landmark_guidance on the driving frame as it is seen through a window turned, zoomed and shifted at random."""
    landmarks = _landmarks(values)
    aims = seen_through(values.window, landmarks.position)
    whole = landmarks.found & _in_frame(aims)  # a keypoint cannot leave the frame
    return landmark_guidance(values.moved.position, aims, whole)


def _moved_jacobian(values: Values) -> Float[Tensor, ""]:
    return jacobian_equivariance(values.driving.keypoints, values.moved, PlaneWarp.affine(values.window))


def _torso_guidance(values: Values) -> Float[Tensor, ""]:
    num_face = _landmarks(values).position.shape[1]  # all keypoints after theirs are free
    torso = register(values.batch.source, values.batch.driving, "torso")
    return torso_guidance(values.source.keypoints, values.driving.keypoints, torso, num_face)


def _keypoint_consistency(values: Values) -> Float[Tensor, ""]:
    asked: Tensor = values.driving.keypoints.position
    return (values.found_again.position - asked.detach()).abs().mean()


def _opening_consistency(values: Values) -> Float[Tensor, ""]:
    """How differently open mouth and eyes look to the detector in the generated frame and in the driving one."""
    found = _landmarks(values).found  # whether there is a face
    return opening_guidance(values.found_again.position, values.driving.keypoints.position.detach(), found)


def _reenacted_keypoints(values: Values) -> Float[Tensor, ""]:
    """How far the keypoints of a reenacted frame are from those asked for, where all of them lie in the frame."""
    asked = values.asked.position
    return landmark_guidance(values.found_reenacted.position, asked, _in_frame(asked))


def _reenacted_openings(values: Values) -> Float[Tensor, ""]:
    """How differently open mouth and eyes look to the detector in a reenacted frame from what was asked for."""
    asked = values.asked.position
    known = _landmarks(values).found[: len(asked)] & _in_frame(asked)
    return opening_guidance(values.found_reenacted.position, asked, known)


def _landmarks(values: Values) -> FaceLandmarks:
    """Of the driving frame; `Objective.check` has seen that they are there."""
    assert values.batch.driving_landmarks is not None
    return values.batch.driving_landmarks


def _in_frame(position: Float[Tensor, "b k 2"]) -> Bool[Tensor, " b"]:
    return (position.abs() <= 1).all(2).all(1)


def _own(term: OwnTerm) -> Term:
    """A family's own term."""
    looks = RENDERED | {Look[name.upper()] for name in term.looks}
    return Term(term.function, looks, needs_landmarks=term.needs_landmarks)


TERMS: dict[str, Term] = {
    "perceptual": Term(lambda values: values.perceptual, RENDERED | {Look.PERCEPTUAL}),
    "warped_perceptual": Term(lambda values: values.warped_perceptual, MOTION | {Look.WARPED_PERCEPTUAL}),
    "reconstruction": Term(_reconstruction, RENDERED),
    "expressive_reconstruction": Term(_expressive_reconstruction, RENDERED, needs_landmarks=True),
    "adversarial": Term(lambda values: generator_adversarial(values.judged_fake), RENDERED | {Look.JUDGEMENTS}),
    "feature_matching": Term(
        lambda values: feature_matching(values.judged_real, values.judged_fake), RENDERED | {Look.JUDGEMENTS}
    ),
    "equivariance": Term(_equivariance, frozenset({Look.TRANSFORMED})),
    "jacobian_equivariance": Term(_jacobian_equivariance, frozenset({Look.TRANSFORMED}), needs_jacobians=True),
    "keypoint_distance": Term(_keypoint_distance, VIEWS),
    "keypoint_consistency": Term(_keypoint_consistency, RENDERED | {Look.FOUND_AGAIN}),
    "opening_consistency": Term(_opening_consistency, RENDERED | {Look.FOUND_AGAIN}, needs_landmarks=True),
    "reenacted_keypoints": Term(_reenacted_keypoints, VIEWS | {Look.REENACTED}),
    "reenacted_openings": Term(_reenacted_openings, VIEWS | {Look.REENACTED}, needs_landmarks=True),
    "landmark_guidance": Term(_landmark_guidance, VIEWS, needs_landmarks=True),
    "opening_guidance": Term(_opening_guidance, VIEWS, needs_landmarks=True),
    "moved_landmark_guidance": Term(_moved_landmark_guidance, frozenset({Look.MOVED}), needs_landmarks=True),
    "moved_jacobian": Term(_moved_jacobian, frozenset({Look.MOVED}), needs_jacobians=True),
    "torso_guidance": Term(_torso_guidance, VIEWS, needs_landmarks=True),
    "hinge_adversarial": Term(lambda values: generator_hinge(values.judged_fake), RENDERED | {Look.JUDGEMENTS}),
    **{name: _own(term) for family in FAMILIES.values() for name, term in family.own_terms.items()},
}
FEATURE_MATCHING = 10.0  # as FOMM weighs it; the paper gives no number
PAPER_OBJECTIVE = (  # lambda_P, lambda_G, lambda_E, lambda_D of Sec. 4.2
    ("perceptual", 10.0),
    ("adversarial", 1.0),
    ("feature_matching", FEATURE_MATCHING),
    ("equivariance", 10.0),
    ("keypoint_distance", 10.0),
)


def needing_landmarks(names: Iterable[str]) -> list[str]:
    """Those of the terms that need landmarks in the batch."""
    return [name for name in names if name in TERMS and TERMS[name].needs_landmarks]


def needing_jacobians(names: Iterable[str]) -> list[str]:
    """Those of the terms that need keypoints with jacobians."""
    return [name for name in names if name in TERMS and TERMS[name].needs_jacobians]


KEYPOINT_TERMS = frozenset(  # of DaGAN's keypoints, which other families lack
    (
        *("equivariance", "jacobian_equivariance", "keypoint_distance", "keypoint_consistency", "opening_consistency"),
        *("reenacted_keypoints", "reenacted_openings", "landmark_guidance", "opening_guidance"),
        *("moved_landmark_guidance", "moved_jacobian", "torso_guidance"),
    )
)


def of_others(config: ModelConfig, names: Iterable[str]) -> list[str]:
    """Those of the terms that a model of this configuration cannot have: of keypoints that it lacks, or of another
    family."""
    family = FAMILIES.get(type(config))
    own = set() if family is None else {*family.own_terms}
    foreign = {name for other in FAMILIES.values() for name in other.own_terms} - own
    of_keypoints = set() if family is None else {*KEYPOINT_TERMS}
    return [name for name in names if name in foreign | of_keypoints]


class Objective:
    """Named terms with weights; a term that is not listed is absent, not weighted zero.

    `looks` is what a forward pass must make for these terms; everything else it can leave out.
    """

    def __init__(self, weights: tuple[tuple[str, float], ...]):
        unknown = [name for name, _ in weights if name not in TERMS]
        if unknown:
            raise ValueError(f"unknown loss term {unknown[0]!r}; known: {', '.join(TERMS)}")
        self.weights = dict(weights)
        self.terms = {name: TERMS[name] for name in self.weights}
        self.looks: frozenset[Look] = frozenset().union(*(term.looks for term in self.terms.values()))
        self.is_adversarial = Look.JUDGEMENTS in self.looks  # then a discriminator is trained beside the generator
        hinge = "hinge_adversarial" in self.terms
        self.discriminator_loss = discriminator_hinge if hinge else discriminator_adversarial

    def check(self, batch: PairBatch) -> None:
        """Raises ValueError when a term needs landmarks and the batch has none."""
        names = needing_landmarks(self.terms)
        if names and batch.driving_landmarks is None:
            raise ValueError(f"the objective has {names[0]} but the batch has no landmarks")

    def total(self, terms: Mapping[str, Float[Tensor, ""]]) -> Float[Tensor, ""]:
        """The weighted sum (Eq. 10)."""
        return torch.stack([self.weights[name] * value.float() for name, value in terms.items()]).sum()
