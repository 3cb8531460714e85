"""One pair scored by an evaluator: the generated image, and the unmoved source as if it had been generated."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from dagan.data.protocols import Frame, ReenactmentPair
from dagan.evaluation.evaluator import Evaluator, Look
from dagan.evaluation.metrics.accumulators import Change
from dagan.evaluation.metrics.pairwise import aed, akd, aucon, csim, head_pose_error, l1, landmark_distance, psnr
from dagan.evaluation.metrics.regional import (
    colour_difference,
    detail_correlation,
    detail_ratio,
    region_l1,
    region_psnr,
)
from dagan.evaluation.metrics.ssim import ssim
from dagan.evaluation.records import Faces, Following, FrameName, Sample, Scores, ShapeFollowing, Shown
from dagan.evaluation.regions import Regions
from dagan.evaluation.systems import PairImages
from dagan.observers.blendshape_units import BLINK, BROW_RAISE, JAW_DROP, SMILE
from dagan.observers.face_shape import FaceShape
from dagan.observers.mesh import image_key


class Scored(NamedTuple):
    """The record of a pair, and the pooled features of generated, driving and source image for the Frechet distance."""

    sample: Sample
    features: Float[np.ndarray, "3 d"] | None


def score_pair(
    pair: ReenactmentPair,
    images: PairImages,
    generated: UInt8[np.ndarray, "h w 3"] | None,
    evaluator: Evaluator,
    has_truth: bool,
) -> Scored:
    """Scores a generated image, or its absence (None). Without truth only what needs none is measured."""
    first, wanted = evaluator.look(images.source), evaluator.look(images.driving)
    rest = evaluator.look(images.rest) if images.rest is not None else first
    result = evaluator.look(generated) if generated is not None else None
    regions = evaluator.regions(first, wanted) if has_truth else Regions()
    reference = _Reference(first, wanted, regions, has_truth)
    looks = (wanted, rest, result, first)
    sample = Sample(
        key=pair.key,
        source=frame_name(pair.source),
        driving=frame_name(pair.driving),
        generated=_scores(result, reference, evaluator) if result is not None else Scores(),
        unmoved=_scores(first, reference, evaluator),
        faces=Faces(result is not None and result.has_face, wanted.has_face, first.has_face),
        following=_following(wanted, result, rest, first, evaluator),
        has_image=result is not None,
        rest=frame_name(pair.rest) if pair.rest is not None else None,
        shown=Shown(wanted.landmarks is not None, regions.head is not None, regions.mouth is not None),
        shape=_shape_following([look.shape if look is not None else None for look in looks]),
        second_shape=_shape_following([look.second_shape if look is not None else None for look in looks]),
        images=pair_key(images),
    )
    return Scored(sample, _features(result, wanted, first))


class _Reference(NamedTuple):
    """What an image is scored against."""

    source: Look
    driving: Look
    regions: Regions
    has_truth: bool


def pair_key(images: PairImages) -> str:
    """The same for the same pixels of source and driving frame, whatever their files are called."""
    return hashlib.blake2b(image_key(images.source) + image_key(images.driving), digest_size=12).hexdigest()


def frame_name(frame: Frame) -> FrameName:
    return FrameName(frame.clip.name, frame.clip.identity, frame.number)


def _scores(image: Look, reference: _Reference, evaluator: Evaluator) -> Scores:
    source, driving, regions, has_truth = reference
    scores = _towards_truth(image, driving, evaluator) if has_truth else Scores()
    if has_truth:
        scores = _in_mouth(image, driving, regions, _in_head(image, driving, regions, evaluator, scores))
    if image.identity is not None and source.identity is not None:
        scores = scores._replace(csim=csim(image.identity, source.identity))
    if image.head_pose is not None and driving.head_pose is not None:
        scores = scores._replace(head_pose_error=head_pose_error(image.head_pose, driving.head_pose))
    if image.action_units is not None and driving.action_units is not None:
        thresholds = evaluator.action_units.thresholds
        scores = scores._replace(aucon=aucon(image.action_units, driving.action_units, thresholds))
    return scores


def _towards_truth(image: Look, driving: Look, evaluator: Evaluator) -> Scores:
    """What compares the image with the driving frame, pixel by pixel or point by point."""
    scores = Scores(
        l1=l1(image.image, driving.image).item(),
        ssim=ssim(image.image, driving.image).item(),
        psnr=psnr(image.image, driving.image).item(),
    )
    if evaluator.lpips is not None and image.features is not None and driving.features is not None:
        scores = scores._replace(lpips=evaluator.lpips.distance(image.features, driving.features).item())
    if image.landmarks is not None and driving.landmarks is not None:
        scores = scores._replace(
            landmark_distance=landmark_distance(image.landmarks, driving.landmarks),
            akd=akd(image.landmarks, driving.landmarks, image.image.shape[-1]),
        )
    if image.identity is not None and driving.identity is not None:
        scores = scores._replace(aed=aed(image.identity, driving.identity))
    return scores


def _in_head(image: Look, driving: Look, regions: Regions, evaluator: Evaluator, scores: Scores) -> Scores:
    if regions.head is None:
        return scores
    ours, true, head = image.image, driving.image, regions.head
    if evaluator.lpips is not None and image.features is not None and driving.features is not None:
        scores = scores._replace(head_lpips=evaluator.lpips.distance(image.features, driving.features, head).item())
    return scores._replace(
        head_l1=region_l1(ours, true, head).item(),
        head_psnr=region_psnr(ours, true, head).item(),
        detail=detail_ratio(ours, true, head).item(),
        detail_correlation=detail_correlation(ours, true, head).item(),
    )


def _in_mouth(image: Look, driving: Look, regions: Regions, scores: Scores) -> Scores:
    if regions.mouth is None:
        return scores
    return scores._replace(
        mouth_l1=region_l1(image.image, driving.image, regions.mouth).item(),
        mouth_colour=colour_difference(image.image, driving.image, regions.mouth).item(),
    )


def _shape_following(shapes: Sequence[FaceShape | None]) -> ShapeFollowing | None:
    """The change of driving against rest, and of result against source; None when one of the four shows no face."""
    seen = [shape for shape in shapes if shape is not None]
    if len(seen) < len(shapes):
        return None
    return ShapeFollowing(*(Change(a - b, c - d) for a, b, c, d in zip(*seen, strict=True)))


def _following(wanted: Look, result: Look | None, rest: Look, source: Look, evaluator: Evaluator) -> Following | None:
    """The driver's change from rest, and the result's from the source; None when one of the four shows no face."""
    looks = (wanted, rest, result, source)
    faces = [_Face.of(look, evaluator.action_units.names) for look in looks if look is not None and look.has_face]
    seen = [face for face in faces if face is not None]
    if len(seen) < len(looks):
        return None
    driving, before, generated, still = seen
    return Following(*(Change(a - b, c - d) for a, b, c, d in zip(driving, before, generated, still, strict=True)))


class _Face(NamedTuple):
    """What a result should follow, in the order of `Following`."""

    jaw_opening: float
    eye_closing: float
    head_yaw: float
    smile: float
    brow_raise: float

    @classmethod
    def of(cls, look: Look, names: Sequence[str]) -> "_Face | None":
        if look.action_units is None or look.head_pose is None:
            return None
        units = (JAW_DROP, BLINK, SMILE, BROW_RAISE)
        jaw, blink, smile, brow = (float(look.action_units[names.index(name)]) for name in units)
        return cls(jaw, blink, look.head_pose[0], smile, brow)


def _features(generated: Look | None, driving: Look, source: Look) -> Float[np.ndarray, "3 d"] | None:
    looks = (generated, driving, source)
    pooled = [look.features.pooled[0].numpy() for look in looks if look is not None and look.features is not None]
    return np.stack(pooled) if len(pooled) == len(looks) else None
