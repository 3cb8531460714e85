"""FaceRetargeting trained alone, in minutes: on landmarks, true ones and those that a trained detector finds.

In a phase of `dagan train` nearly all the time would go into finding the same keypoints again and again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm import tqdm

from dagan.data.clips import ClipFrames
from dagan.data.landmarks import LandmarkTracks
from dagan.errors import UserError
from dagan.face import MIRRORED_EXPRESSIONS, NUM_LANDMARKS, mirrored
from dagan.losses.retargeting import expression_placing, expression_reading, expression_transfer
from dagan.models.families import ModelConfig
from dagan.models.family import Family
from dagan.models.talking_head import TalkingHead, TalkingHeadConfig
from dagan.training.guard import clip_gradients, step_if
from dagan.training.validation import to_images
from dagan.transfer.retargeting import FaceRetargeting, FaceRetargetingConfig

FRAMES_AT_ONCE = 16
READING, PLACING, TRANSFER = 1.0, 10.0, 3.0  # weights of the losses
NOISE = 0.008  # at most, standard deviation of a coordinate: a pixel of 256, what a detector is off at strangers


class Faces(NamedTuple):
    """Frames of clips, one clip after the other: a face's landmarks as they are and as the detector finds them, in
    [-1, 1]; its expression (`EXPRESSIONS`); where its clip begins among them, and its length."""

    landmarks: Float[Tensor, "f n 2"]
    found: Float[Tensor, "f n 2"]
    expression: Float[Tensor, "f e"]
    first: Int[Tensor, " f"]
    length: Int[Tensor, " f"]


@dataclass(frozen=True, kw_only=True)
class RetargetingRecipe:
    """The learning rate rises to what is given here over the first third of the steps, and falls to nothing."""

    steps: int = 3000
    batch_size: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    seed: int = 0


def with_retargeting(model: Family, config: ModelConfig) -> tuple[TalkingHead, TalkingHeadConfig, FaceRetargeting]:
    """The model and its config with retargeting networks: its own, or new ones.

    Raises:
        UserError: the model's keypoints are not the face's.
    """
    if not isinstance(config, TalkingHeadConfig) or config.face is None:
        raise UserError("this model knows nothing of faces (its config's `face` is null); train one with --landmarks")
    assert isinstance(model, TalkingHead)
    if isinstance(model.retargeting, FaceRetargeting):
        return model, config, model.retargeting
    networks = FaceRetargetingConfig()
    model.retargeting = retargeting = networks.build().to(next(model.parameters()).device)
    return model, replace(config, face=replace(config.face, retargeting=networks)), retargeting


@torch.no_grad()
def find_faces(model: TalkingHead, clips: Sequence[ClipFrames], tracks: LandmarkTracks, per_clip: int) -> Faces:
    """`per_clip` frames of each clip, evenly over those whose landmarks are known. Raises UserError if none are."""
    model.eval()
    parts: list[Faces] = []
    start = 0
    for clip, guided, expressions in zip(
        tqdm(clips, desc="finding faces", unit="clip"), tracks.guided, tracks.expressions, strict=True
    ):
        known = np.flatnonzero(~np.isnan(guided).any((1, 2)))
        if len(known) == 0:
            continue
        chosen = known[np.unique(np.linspace(0, len(known) - 1, per_clip).round().astype(int))]
        landmarks, expression = torch.from_numpy(guided[chosen]), torch.from_numpy(expressions[chosen])
        size = torch.full((len(chosen),), len(chosen))
        parts.append(Faces(landmarks, _detected(model, clip, chosen), expression, torch.full_like(size, start), size))
        start += len(chosen)
    if not parts:
        raise UserError(f"no face is known in any of {len(clips)} clips; make their landmarks with `dagan landmarks`")
    return Faces(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def _detected(model: TalkingHead, clip: ClipFrames, numbers: Int[np.ndarray, " t"]) -> Float[Tensor, "t n 2"]:
    device = next(model.parameters()).device
    parts = [
        model.detect(to_images(clip.frames[numbers[at : at + FRAMES_AT_ONCE].tolist()], device)).keypoints.position
        for at in range(0, len(numbers), FRAMES_AT_ONCE)
    ]
    return torch.cat(parts)[:, :NUM_LANDMARKS].float().cpu()


def train_retargeting(model: FaceRetargeting, faces: Faces, recipe: RetargetingRecipe) -> dict[str, float]:
    """Trains in place; gives the means of the losses over the last tenth of the steps.

    Each sample is a face as it is or as it was found, or the mirror image of that; two frames of it teach how it moves,
    and the next sample's two frames are what it is asked to follow.
    """
    numbers = torch.Generator().manual_seed(recipe.seed)
    optimizer = torch.optim.AdamW(
        model.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, recipe.steps)
    device, last = next(model.parameters()).device, list[Tensor]()
    for step in tqdm(range(recipe.steps), desc="retargeting", unit="step"):
        source, driving, expression = (part.to(device) for part in pairs_of(faces, recipe.batch_size, numbers))
        losses = retargeting_losses(model, source, driving, expression, numbers)
        optimizer.zero_grad(set_to_none=True)
        (losses * losses.new_tensor([READING, PLACING, TRANSFER])).sum().backward()  # type: ignore[no-untyped-call]
        step_if(clip_gradients([model], 0.0).isfinite(), optimizer)
        schedule.step()
        if step >= recipe.steps - max(1, recipe.steps // 10):
            last.append(losses.detach())
    means = torch.stack(last).mean(0).tolist()
    return dict(zip(("reading", "placing", "transfer"), means, strict=True))


def pairs_of(
    faces: Faces, size: int, numbers: torch.Generator
) -> tuple[Float[Tensor, "b n 2"], Float[Tensor, "b n 2"], Float[Tensor, "b e"]]:
    """Landmarks of two frames of a clip, drawn at random, and the expression of the first."""
    one = torch.randint(len(faces.first), (size,), generator=numbers)
    other = faces.first[one] + (torch.rand(size, generator=numbers) * faces.length[one]).long()
    is_true, is_mirrored = torch.rand(2, size, generator=numbers) < 0.5
    points = (torch.where(is_true[:, None, None], faces.landmarks[at], faces.found[at]) for at in (one, other))
    source, driving = (torch.where(is_mirrored[:, None, None], mirrored(face), face) for face in points)
    expression = faces.expression[one]
    return source, driving, torch.where(is_mirrored[:, None], expression[:, MIRRORED_EXPRESSIONS], expression)


def retargeting_losses(
    model: FaceRetargeting,
    source: Float[Tensor, "b n 2"],
    driving: Float[Tensor, "b n 2"],
    expression: Float[Tensor, "b e"],
    numbers: torch.Generator,
) -> Float[Tensor, "3"]:
    """Reading, of the source as a detector might find it; placing; and transfer of the next sample's motion."""
    size = torch.rand(len(source), 1, 1, generator=numbers)
    error = NOISE * size * torch.randn(source.shape, generator=numbers)
    reading = expression_reading(model, source + error.to(source.device), expression)
    transfer = expression_transfer(model, source, source.roll(-1, 0), driving.roll(-1, 0))
    return torch.stack([reading, expression_placing(model, source, driving), transfer])
