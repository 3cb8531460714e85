"""One pair scored by a ruler. The unmoved source is scored as if it had been generated, in the same record."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from dagan.data.protocols import Frame, ReenactmentPair
from dagan.evaluation.metrics.aed import aed
from dagan.evaluation.metrics.akd import akd
from dagan.evaluation.metrics.aucon import aucon
from dagan.evaluation.metrics.csim import csim
from dagan.evaluation.metrics.expression import Change
from dagan.evaluation.metrics.head_pose import head_pose_error
from dagan.evaluation.metrics.l1 import l1
from dagan.evaluation.metrics.landmark_distance import landmark_distance
from dagan.evaluation.metrics.psnr import psnr
from dagan.evaluation.metrics.ssim import ssim
from dagan.evaluation.observers.blendshape_units import BLINK, JAW_DROP
from dagan.evaluation.records import Expression, Faces, FrameName, Sample, Scores
from dagan.evaluation.ruler import Look, Ruler


class ScoredPair(NamedTuple):
    """The record of a pair, and the pooled features of generated, driving and source image for the Frechet distance."""

    sample: Sample
    features: Float[np.ndarray, "3 d"] | None


def score_pair(
    pair: ReenactmentPair,
    source: UInt8[np.ndarray, "h w 3"],
    driving: UInt8[np.ndarray, "h w 3"],
    generated: UInt8[np.ndarray, "h w 3"] | None,
    ruler: Ruler,
    has_truth: bool,
) -> ScoredPair:
    """Scores a generated image, or its absence (None). Without truth only what needs none is measured."""
    first, wanted = ruler.look(source), ruler.look(driving)
    result = ruler.look(generated) if generated is not None else None
    thresholds = ruler.action_units.thresholds
    sample = Sample(
        key=pair.key,
        source=frame_name(pair.source),
        driving=frame_name(pair.driving),
        generated=_scores(result, wanted, first, ruler, has_truth, thresholds) if result is not None else Scores(),
        unmoved=_scores(first, wanted, first, ruler, has_truth, thresholds),
        faces=Faces(result is not None and result.has_face, wanted.has_face, first.has_face),
        expression=_expression(first, wanted, result, ruler.action_units.names),
        has_image=result is not None,
    )
    return ScoredPair(sample, _features(result, wanted, first))


def frame_name(frame: Frame) -> FrameName:
    return FrameName(frame.clip.name, frame.clip.identity, frame.number)


def _scores(
    image: Look, driving: Look, source: Look, ruler: Ruler, has_truth: bool, thresholds: Float[np.ndarray, " u"]
) -> Scores:
    scores = _towards_truth(image, driving, ruler) if has_truth else Scores()
    if image.identity is not None and source.identity is not None:
        scores = scores._replace(csim=csim(image.identity, source.identity))
    if image.head_pose is not None and driving.head_pose is not None:
        scores = scores._replace(head_pose_error=head_pose_error(image.head_pose, driving.head_pose))
    if image.action_units is not None and driving.action_units is not None:
        scores = scores._replace(aucon=aucon(image.action_units, driving.action_units, thresholds))
    return scores


def _towards_truth(image: Look, driving: Look, ruler: Ruler) -> Scores:
    """What compares the image with the driving frame, pixel by pixel or point by point."""
    scores = Scores(
        l1=l1(image.image, driving.image).item(),
        ssim=ssim(image.image, driving.image).item(),
        psnr=psnr(image.image, driving.image).item(),
    )
    if ruler.lpips is not None and image.features is not None and driving.features is not None:
        scores = scores._replace(lpips=ruler.lpips.distance(image.features, driving.features).item())
    if image.landmarks is not None and driving.landmarks is not None:
        scores = scores._replace(
            landmark_distance=landmark_distance(image.landmarks, driving.landmarks),
            akd=akd(image.landmarks, driving.landmarks, image.image.shape[-1]),
        )
    if image.identity is not None and driving.identity is not None:
        scores = scores._replace(aed=aed(image.identity, driving.identity))
    return scores


def _expression(source: Look, driving: Look, generated: Look | None, names: Sequence[str]) -> Expression | None:
    if generated is None:
        return None
    units = (source.action_units, driving.action_units, generated.action_units)
    changes = []
    for name in (JAW_DROP, BLINK):
        rest, wanted, got = (float(u[names.index(name)]) if u is not None else None for u in units)
        if rest is None or wanted is None or got is None:
            return None
        changes.append(Change(wanted - rest, got - rest))
    return Expression(*changes)


def _features(generated: Look | None, driving: Look, source: Look) -> Float[np.ndarray, "3 d"] | None:
    looks = (generated, driving, source)
    pooled = [look.features.pooled[0].numpy() for look in looks if look is not None and look.features is not None]
    return np.stack(pooled) if len(pooled) == len(looks) else None
