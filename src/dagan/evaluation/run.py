"""Model x pairs -> records. The unmoved source is scored as if it had been generated, in the same record."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from dagan.data.clips import Clip, find_clips
from dagan.data.protocols import MIN_GAP, SEED, FramePair, clip_pairs, count_frames, read_chosen_frames
from dagan.errors import UserError
from dagan.evaluation.metrics.expression import Change
from dagan.evaluation.metrics.head_pose import head_pose_error
from dagan.evaluation.metrics.l1 import l1
from dagan.evaluation.metrics.landmark_distance import landmark_distance
from dagan.evaluation.metrics.psnr import psnr
from dagan.evaluation.metrics.ssim import ssim
from dagan.evaluation.observers import FaceObservation, FaceObserver, MediaPipeFace
from dagan.evaluation.report import Expression, Faces, PairProtocol, Report, Sample, Scores, SkippedClip

SIZE = 256  # pixels: that of the paper's tables
PAIRS_PER_CLIP = 4


class Generated(Protocol):
    """What a model's answer must have; `dagan.types.Rendering` does."""

    @property
    def generated(self) -> Tensor: ...


Model = Callable[[Tensor, Tensor], Generated]  # source, driving `1 3 h w` in [0, 1]: any talking head fits
Progress = Callable[[int, int, int], None]  # clips done, clips in all, pairs done


class Seen(NamedTuple):
    """An image for the pixel metrics, and the face the observer found in it."""

    image: Float[Tensor, "1 3 h w"]
    face: FaceObservation | None


def evaluate_self_reenactment(
    model: Model,
    clips_root: str | Path,
    *,
    model_name: str = "model",
    pairs_per_clip: int = PAIRS_PER_CLIP,
    min_gap: int = MIN_GAP,
    seed: int = SEED,
    size: int = SIZE,
    limit: int | None = None,
    device: torch.device | str = "cpu",
    observer: FaceObserver | None = None,
    progress: Progress | None = None,
) -> Report:
    """Source and driving frame are of one clip, so the driving frame is the truth; keypoints are taken absolutely.

    The model must be on `device` and in eval mode. Frames that are not `size` x `size` are cut to their central square
    and resized. One clip is in memory at a time. `limit` takes the first clips only, in the order of their names.

    Raises:
        UserError: no clips, no clip long enough for one pair, no MediaPipe, or a model whose images are not finite.
    """
    clips = find_clips(clips_root)[:limit]
    protocol = PairProtocol("self-reenactment", pairs_per_clip, min_gap, seed, size)
    samples: list[Sample] = []
    skipped: list[SkippedClip] = []
    with nullcontext(observer) if observer is not None else MediaPipeFace() as ruler:
        for done, clip in enumerate(clips, 1):
            try:
                pairs, frames = _pairs_and_frames(clip, protocol)
            except UserError as error:
                skipped.append(SkippedClip(clip.name, str(error)))
            else:
                samples += [_score_pair(model, pair, frames, ruler, device) for pair in pairs]
            if progress is not None:
                progress(done, len(clips), len(samples))
    if not samples:
        raise UserError(f"no pairs in {clips_root}: {skipped[0].clip} ({skipped[0].reason}), and {len(skipped)} in all")
    return Report(
        model=model_name,
        protocol=protocol,
        observer=ruler.version,
        samples=tuple(samples),
        skipped=tuple(skipped),
    )


def _pairs_and_frames(
    clip: Clip, protocol: PairProtocol
) -> tuple[list[FramePair], dict[int, UInt8[np.ndarray, "size size 3"]]]:
    num_frames = count_frames(clip)
    pairs = clip_pairs(clip, num_frames, protocol.pairs_per_clip, protocol.min_gap, protocol.seed)
    if not pairs:
        raise UserError(f"{num_frames} frames; at least {protocol.min_gap + 1} are needed")
    indices = {index for pair in pairs for index in (pair.source, pair.driving)}
    return pairs, read_chosen_frames(clip, indices, protocol.size)


def _score_pair(
    model: Model,
    pair: FramePair,
    frames: dict[int, UInt8[np.ndarray, "h w 3"]],
    observer: FaceObserver,
    device: torch.device | str,
) -> Sample:
    source, driving = (
        Seen(_to_tensor(frames[index]), observer.observe(frames[index])) for index in (pair.source, pair.driving)
    )
    with torch.inference_mode():
        image = model(source.image.to(device), driving.image.to(device)).generated.float().cpu()
    if image.shape != driving.image.shape:
        raise ValueError(f"the model made an image of shape {tuple(image.shape)} of {tuple(driving.image.shape)}")
    if not image.isfinite().all():
        raise UserError(
            f"the model's image for {pair.clip.name} has values that are not finite; the weights are broken"
        )
    generated = Seen(image.clamp(0, 1), observer.observe(_to_pixels(image)))
    return score(pair, source, driving, generated)


def score(pair: FramePair, source: Seen, driving: Seen, generated: Seen) -> Sample:
    """The record of one pair."""
    return Sample(
        clip=pair.clip.name,
        identity=pair.clip.identity,
        source=pair.source,
        driving=pair.driving,
        generated=_scores(generated, driving),
        unmoved=_scores(source, driving),
        faces=Faces(generated.face is not None, driving.face is not None, source.face is not None),
        expression=_expression(source.face, driving.face, generated.face),
    )


def _scores(image: Seen, driving: Seen) -> Scores:
    distance = pose_error = None
    if image.face is not None and driving.face is not None:
        distance = landmark_distance(image.face.landmarks, driving.face.landmarks)
        pose_error = head_pose_error(image.face.pose, driving.face.pose)
    return Scores(
        l1=l1(image.image, driving.image).item(),
        ssim=ssim(image.image, driving.image).item(),
        psnr=psnr(image.image, driving.image).item(),
        landmark_distance=distance,
        head_pose_error=pose_error,
    )


def _expression(
    source: FaceObservation | None, driving: FaceObservation | None, generated: FaceObservation | None
) -> Expression | None:
    if source is None or driving is None or generated is None:
        return None
    return Expression(
        jaw_opening=Change(_jaw(driving) - _jaw(source), _jaw(generated) - _jaw(source)),
        eye_closing=Change(_eyes(driving) - _eyes(source), _eyes(generated) - _eyes(source)),
    )


def _jaw(face: FaceObservation) -> float:
    return face.blendshape("jawOpen")


def _eyes(face: FaceObservation) -> float:
    return (face.blendshape("eyeBlinkLeft") + face.blendshape("eyeBlinkRight")) / 2


def _to_tensor(frame: UInt8[np.ndarray, "h w 3"]) -> Float[Tensor, "1 3 h w"]:
    return rearrange(torch.tensor(frame, dtype=torch.float32) / 255, "h w c -> 1 c h w")


def _to_pixels(image: Float[Tensor, "1 3 h w"]) -> UInt8[np.ndarray, "h w 3"]:
    pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    return np.ascontiguousarray(rearrange(pixels, "1 c h w -> h w c").numpy())
