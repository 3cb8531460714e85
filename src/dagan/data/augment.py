"""Random flip and colour jitter, drawn once and applied alike to all frames of a sample."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # grey of BT.601: what saturation and hue keep
RGB_TO_YIQ = (LUMA, (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Brightness, contrast and saturation are scaled by 1 +- the number; hue turns by +- the number of full turns.

    The paper names no augmentation, so these are ours. A tenth of a turn of hue is clearly seen on skin.
    """

    flip: float = 0.5  # probability
    brightness: float = 0.1
    contrast: float = 0.1
    saturation: float = 0.1
    hue: float = 0.03  # a tenth turns skin purple


AUGMENTATION = AugmentConfig()


class Augmented(NamedTuple):
    """Augmented frames, and whether they were mirrored (x -> -x)."""

    frames: Float[Tensor, "t 3 h w"]
    flipped: bool


def augment(
    frames: Float[Tensor, "t 3 h w"], generator: torch.Generator, config: AugmentConfig = AUGMENTATION
) -> Augmented:
    """The frames under one random flip and one random colour change. RGB in [0, 1] stays in [0, 1]."""
    draws = torch.rand(5, generator=generator)
    flipped = bool(draws[0] < config.flip)
    brightness, contrast, saturation, hue = (2 * draws[1:] - 1).tolist()
    jittered = _jitter(
        frames.flip(-1) if flipped else frames,
        brightness=1.0 + brightness * config.brightness,
        contrast=1.0 + contrast * config.contrast,
        saturation=1.0 + saturation * config.saturation,
        turn=hue * config.hue,
    )
    return Augmented(jittered, flipped)


def _jitter(
    frames: Float[Tensor, "t 3 h w"], *, brightness: float, contrast: float, saturation: float, turn: float
) -> Float[Tensor, "t 3 h w"]:
    """All four changes are linear in RGB, so they are one matrix and one offset: a single pass over the pixels.

    Hue turns around the grey axis of YIQ, and contrast pivots on the mean grey of all frames together.
    """
    mix = brightness * (_turn_hue(turn) @ _scale_saturation(saturation))  # 3 3
    pivot = torch.tensor(LUMA) @ mix @ frames.mean((0, 2, 3))
    mixed: Tensor = einsum(contrast * mix, frames, "d c, t c h w -> t d h w")
    return (mixed + (1 - contrast) * pivot).clamp(0, 1)


def _scale_saturation(saturation: float) -> Float[Tensor, "3 3"]:
    return saturation * torch.eye(3) + (1 - saturation) * torch.tensor(LUMA).expand(3, 3)


def _turn_hue(turn: float) -> Float[Tensor, "3 3"]:
    to_yiq = torch.tensor(RGB_TO_YIQ)
    cos, sin = math.cos(2 * math.pi * turn), math.sin(2 * math.pi * turn)
    rotation = torch.tensor([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
    turned: Tensor = torch.linalg.solve(to_yiq, rotation @ to_yiq)
    return turned
