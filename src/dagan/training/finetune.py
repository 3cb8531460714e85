"""Going on from a trained model with one person's clip: what is held out of it, and what is trained how."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import nn

from dagan.data.clips import Clip, ClipFrames, FrameArray
from dagan.data.frame_cache import CachedFrames
from dagan.errors import UserError
from dagan.losses.perceptual import PerceptualLoss
from dagan.models.discriminator import DiscriminatorConfig
from dagan.models.families import ModelConfig
from dagan.models.family import Family
from dagan.nn.vgg import VGG
from dagan.training.forward import GenerationNetworks
from dagan.training.generation_stage import GenerationStage
from dagan.training.journal import JournalConfig
from dagan.training.loop import LoopConfig
from dagan.training.phases import Phase
from dagan.training.recipes import FINETUNE_RECIPE, FINETUNE_RECONSTRUCTION, RELEASED_TUNING
from dagan.training.validation import Pairs, to_images

HELD_OUT = 0.2  # the last part of the clip, which is not trained on
GAP = 0.02  # of the clip, left out before each half of that part: neighbouring frames are nearly the same
MIN_FRAMES = 20
NUM_PAIRS = 16  # of each half of the held-out part
UNUSED = DiscriminatorConfig(width=8, cap=8)  # in the place of D where no objective asks for it
MINUTES_LOOP = LoopConfig(
    log_every=10,
    panel_every=25,
    keep=1,
    workers=0,
    ema_decay=0.99,  # the average of the last hundred steps, of a few hundred in all
    patience=4,
    journal=JournalConfig(tensorboard=False),
)


class Split(NamedTuple):
    """A clip's frames by number: those trained on, those by which training stops, those that nothing is chosen by."""

    train: range
    stopping: range
    final: range


def split_frames(count: int, name: str) -> Split:
    """The clip's parts, one after the other in time; `name` is what an error calls it.

    Raises:
        UserError: fewer than `MIN_FRAMES`.
    """
    if count < MIN_FRAMES:
        frames = "1 frame" if count == 1 else f"{count} frames"
        raise UserError(f"{name} has {frames}; fine-tuning needs at least {MIN_FRAMES}, of one person")
    held_out, gap = round(HELD_OUT * count), max(1, round(GAP * count))
    begin, middle = count - held_out, count - held_out // 2
    return Split(range(begin - gap), range(begin, middle - gap), range(middle, count))


def pairs_across(frames: FrameArray, source: range, driving: range, device: torch.device) -> Pairs:
    """At most `NUM_PAIRS` pairs with the source from one part of a clip and the driving frame from another, each spread
    evenly over its part: a picture of the kind that was trained on, and a motion that was not."""
    count = min(NUM_PAIRS, len(source), len(driving))
    chosen = [[part[(2 * i + 1) * len(part) // (2 * count)] for i in range(count)] for part in (source, driving)]
    return Pairs(*(to_images(frames[numbers], device) for numbers in chosen))


def finetuning_phase(
    *,
    has_discriminator: bool,
    has_jacobian: bool,
    has_perceptual: bool,
    changes: Mapping[str, Any],
    unsuitable: Collection[str] = (),
) -> Phase:
    """A published model that brought its discriminator keeps its losses; all others have the default model's.

    Terms that the model or this machine cannot have are left out. `changes` are fields to replace, `unsuitable`
    names terms that the model's family cannot have.
    """
    (phase,) = RELEASED_TUNING.phases if has_discriminator else FINETUNE_RECIPE
    missing = {"jacobian_equivariance": not has_jacobian, "perceptual": not has_perceptual}
    terms = tuple(term for term in phase.objective if not missing.get(term[0], False) and term[0] not in unsuitable)
    if not has_perceptual and FINETUNE_RECONSTRUCTION not in terms:
        terms = (FINETUNE_RECONSTRUCTION, *terms)
    return replace(phase, name="finetune", objective=terms, **changes)


@dataclass(frozen=True, kw_only=True)
class Start:
    """What is gone on from. `discriminator`: the one that the model brought, or None; `perceptual`: None for no L_P."""

    config: ModelConfig
    model: Family
    discriminator: nn.Module | None
    perceptual: PerceptualLoss | None

    def networks(self) -> GenerationNetworks:
        """What trains, beside `model`'s own frozen F_d: `model` itself is what will be changed."""
        perceptual = self.perceptual or PerceptualLoss(VGG(()))  # a network without layers: nothing asks for it
        networks = GenerationNetworks(self.model, self.discriminator or UNUSED.build(), perceptual)
        keep_statistics(networks)
        return networks


def keep_statistics(module: nn.Module) -> None:
    """Batch norms go on with the running statistics that they have, which a few frames of one person would spoil."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()


def finetuning_stage(
    start: Start, phase: Phase, frames: CachedFrames, clip: Clip, device: torch.device, seed: int
) -> GenerationStage:
    """Stage 2 on the clip's first part, judged by L1 on pairs from the first to the next. F_d is frozen, as ever."""
    split = split_frames(len(frames), clip.path.name)
    seen = ClipFrames(replace(frames, count=len(split.train)), clip)
    return GenerationStage(
        networks=start.networks(),
        config=start.config,
        phases=(phase,),
        clips=[seen],
        tracks=None,
        validation=[],
        device=device,
        seed=seed,
        judged_on=pairs_across(frames, split.train, split.stopping, device),
    )
