"""A baseline without a network: the source, moved by the registrations of background and torso alone."""

from dataclasses import dataclass
from typing import get_args

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from dagan.data.protocols import ReenactmentPair
from dagan.errors import UserError
from dagan.evaluation.pairs import Motion
from dagan.evaluation.systems import PairImages
from dagan.geometry.grid import coordinate_grid
from dagan.geometry.registration import Region, affine_flow, register
from dagan.images import to_pixels, to_tensor

TORSO_FROM, TORSO_FADE = 0.62, 0.2  # y in [-1, 1] where the torso's window begins, and how far above it the flow fades


@dataclass(frozen=True, kw_only=True)
class Registrations:
    """What mode "registered" is told beside the model: a system as a value."""

    label: str | None = None

    @property
    def name(self) -> str:
        return self.label or "source moved by the registrations alone"

    def fingerprint(self) -> str:
        return "registrations"

    def build(self, motion: Motion = "given") -> "Registrations":
        if motion != "registered":
            raise UserError("--baseline registrations needs --motion registered: it is told how the target frame moved")
        return self

    def generate(self, pair: ReenactmentPair, images: PairImages) -> UInt8[np.ndarray, "h w 3"]:
        """The source warped by the background's motion, and by the torso's in the lowest fifth."""
        source, driving = (to_tensor(image) for image in (images.source, images.driving))
        return to_pixels(moved_by_registrations(source, driving))


@torch.inference_mode()
def moved_by_registrations(
    source: Float[Tensor, "1 3 h w"], driving: Float[Tensor, "1 3 h w"]
) -> Float[Tensor, "1 3 h w"]:
    """The source at the two affine motions, blended over a short fade above the torso."""
    height, width = source.shape[2:]
    background, torso = (affine_flow(register(source, driving, region), height, width) for region in get_args(Region))
    y = coordinate_grid(height, width, source)[..., 1:]
    share = ((y - TORSO_FROM) / TORSO_FADE + 1).clamp(0, 1)
    flow = background * (1 - share) + torso * share
    return F.grid_sample(source, flow, padding_mode="border", align_corners=False)
