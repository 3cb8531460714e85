"""One pair scored by an evaluator: the generated image, and the unmoved source as if it had been generated."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from dagan.data.protocols import Frame, ReenactmentPair
from dagan.evaluation.evaluator import Evaluator, Look
from dagan.evaluation.metrics.accumulators import Change
from dagan.evaluation.metrics.pairwise import aed, akd, aucon, csim, head_pose_error, l1, landmark_distance, psnr
from dagan.evaluation.metrics.ssim import ssim
from dagan.evaluation.records import Faces, Following, FrameName, Sample, Scores
from dagan.evaluation.systems import PairImages
from dagan.observers.blendshape_units import BLINK, BROW_RAISE, JAW_DROP, SMILE


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
    thresholds = evaluator.action_units.thresholds
    sample = Sample(
        key=pair.key,
        source=frame_name(pair.source),
        driving=frame_name(pair.driving),
        generated=_scores(result, wanted, first, evaluator, has_truth, thresholds) if result is not None else Scores(),
        unmoved=_scores(first, wanted, first, evaluator, has_truth, thresholds),
        faces=Faces(result is not None and result.has_face, wanted.has_face, first.has_face),
        following=_following(wanted, result, rest, first, evaluator),
        has_image=result is not None,
        rest=frame_name(pair.rest) if pair.rest is not None else None,
    )
    return Scored(sample, _features(result, wanted, first))


def frame_name(frame: Frame) -> FrameName:
    return FrameName(frame.clip.name, frame.clip.identity, frame.number)


def _scores(
    image: Look, driving: Look, source: Look, evaluator: Evaluator, has_truth: bool, thresholds: Float[np.ndarray, " u"]
) -> Scores:
    scores = _towards_truth(image, driving, evaluator) if has_truth else Scores()
    if image.identity is not None and source.identity is not None:
        scores = scores._replace(csim=csim(image.identity, source.identity))
    if image.head_pose is not None and driving.head_pose is not None:
        scores = scores._replace(head_pose_error=head_pose_error(image.head_pose, driving.head_pose))
    if image.action_units is not None and driving.action_units is not None:
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
