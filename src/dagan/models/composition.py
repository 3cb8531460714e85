"""The picture at the photo's resolution: the person before what is behind it, without a seam (not in the paper).

The flow knows no resolution, so the sharp photo is warped by it; what the decoder painted is enlarged. Where the head
was and no longer is, a fill of the background (`plate`) shows. Motion and painting fade towards the rim of the crop, so
that its last pixels are the photo's own.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from dagan.geometry.grid import coordinate_grid
from dagan.geometry.warp import Pixels, warp
from dagan.models.fill import fill
from dagan.types import Backdrop, Layers, Rendering

FIRM = (0.2, 0.8)  # the matte's values that become 0 and 1: the network is rarely surer
ABSENT = (0.0, 0.1)  # of the grown matte: pixels of the plate that are known, and that are filled in
CERTAIN = (0.7, 0.9)  # of the matte: pixels from which the person's colours are filled in further out, and to which
UNMIXED = (0.2, 0.6)  # of the matte: from where on the person's colours are solved for, not filled in
GROWN = 9  # pixels of the networks' image, odd: the plate is filled this far around the matte
NEAR = 0.04  # of a colour: how far from the warped photo an image may be and still count as showing it
STILL = (0.25, 1.5)  # pixels of the networks' image: how far the person may move for the photo's own rest to stay


@dataclass(frozen=True, kw_only=True)
class CompositionConfig:
    """How pictures are put together.

    `rim`: over which share of the crop's side motion fades to nothing; what is painted fades inside that. `has_plate`:
    whether the person is cut out; without, the background moves with it.
    """

    rim: float = 0.10
    has_plate: bool = True

    def build(self) -> "Composition":
        return Composition(self)


class Composition(nn.Module):
    """Layers of the networks' size and a backdrop of any size to a picture of the backdrop's size."""

    def __init__(self, config: CompositionConfig) -> None:
        super().__init__()
        self.config = config

    def backdrop(self, photo: Float[Tensor, "1 3 s s"], matte: Float[Tensor, "1 1 h h"]) -> Backdrop:
        """What a photo brings to its pictures, once; `matte` as `MatteNet` gives it, at the networks' size."""
        if not self.config.has_plate:
            return Backdrop(photo, photo, torch.zeros_like(photo), torch.ones_like(matte))
        share = ramp(matte, *FIRM)
        grown = F.max_pool2d(share, GROWN, 1, GROWN // 2)
        size = (photo.shape[2], photo.shape[3])
        large = enlarged(share, size)
        plate = fill(photo, 1 - ramp(enlarged(grown, size), *ABSENT))
        person = torch.lerp(
            fill(photo, ramp(large, *CERTAIN)),
            (plate + (photo - plate) / large.clamp_min(UNMIXED[0])).clamp(0, 1),
            ramp(large, *UNMIXED),
        )
        return Backdrop(person, plate, photo - torch.lerp(plate, person, large), share)

    def forward(self, layers: Layers, backdrop: Backdrop) -> Float[Tensor, "b 3 s s"]:
        """The picture, in [0, 1]."""
        size = (backdrop.plate.shape[2], backdrop.plate.shape[3])
        painted, shown, matte, kept, moved = self.planes(layers, backdrop.matte)
        picture = enlarged(painted, size)
        picture = torch.addcmul(picture, enlarged(shown, size), sampled(backdrop.person, enlarged(moved, size)))
        picture = torch.addcmul(picture, enlarged(1 - matte, size), backdrop.plate)
        return torch.addcmul(picture, enlarged(kept, size), backdrop.rest).clamp(0, 1)

    def planes(self, layers: Layers, matte: Float[Tensor, "1 1 h h"]) -> "Planes":
        """What each part has in each pixel, at the networks' size."""
        rim = _rim(self.config.rim, layers.flow.shape[1], layers.weight.shape[-1], layers.flow.device)
        size = (matte.shape[2], matte.shape[3])
        away = enlarged(_displacement(layers.foreground, rim), size)
        person = sampled(matte, away)
        shown = person * (1 - rim.inner * (1 - layers.weight))
        kept = 1 - ramp(away.square().sum(1, keepdim=True).sqrt() * size[0] / 2, *STILL)
        return Planes(person * rim.inner * layers.painted, shown, person, kept, _displacement(layers.flow, rim))


class Rim(NamedTuple):
    """0 at the rim of the crop, 1 inside: of motion, and of what was painted, at the sizes of both."""

    fade: Float[Tensor, "hf wf"]
    inner: Float[Tensor, "h h"]


class Planes(NamedTuple):
    """A picture is `painted + shown * warped person + (1 - matte) * plate + kept * rest` (`Backdrop`).

    `moved`: how far away the person's pixels are taken from, in [-1, 1] units.
    """

    painted: Float[Tensor, "b 3 h h"]
    shown: Float[Tensor, "b 1 h h"]
    matte: Float[Tensor, "b 1 h h"]
    kept: Float[Tensor, "b 1 h h"]
    moved: Float[Tensor, "b 2 hf wf"]


def _rim(width: float, flow_side: int, side: int, device: torch.device) -> Rim:
    """How motion and painting fade over a rim of `width` sides."""
    outermost = 0.5 / flow_side
    fade, inner = _faded(flow_side, outermost, outermost + width), _faded(side, width / 2, width * 1.3)
    return Rim(torch.from_numpy(fade).to(device), torch.from_numpy(inner).to(device))


@lru_cache(maxsize=16)
def _faded(side: int, low: float, high: float) -> Float[np.ndarray, "h h"]:
    """`ramp` of the distance of each pixel's centre from the nearest edge of a square, in sides. In NumPy: what is kept
    while a graph is traced would be no number."""
    middles = (np.arange(side, dtype=np.float32) + 0.5) / side
    inward = np.minimum(middles, 1 - middles)
    share = np.clip((np.minimum(inward[:, None], inward) - low) / (high - low), 0, 1).astype(np.float32)
    return np.asarray(share * share * (3 - 2 * share))


def _displacement(flow: Float[Tensor, "b h w 2"], rim: Rim) -> Float[Tensor, "b 2 h w"]:
    """How far away a pixel is taken from, which fades to nothing at the rim."""
    moved = flow - coordinate_grid(flow.shape[1], flow.shape[2], flow)
    return rearrange(moved, "b h w d -> b d h w").contiguous() * rim.fade


def layers_of(rendering: Rendering, pixels: Pixels) -> Layers:
    """A rendering taken apart. Where its decoder does not say how much of the photo shows, it is judged by how near the
    image is to the warped photo, and by the occlusion."""
    warped, side = rendering.warped, rendering.generated.shape[-1]
    weight = rendering.weight
    if weight is None:
        away = F.avg_pool2d((rendering.generated - warped).abs().mean(1, keepdim=True), 5, 1, 2)
        weight = torch.exp(-(away / NEAR).square())
        if rendering.occlusion is not None:
            weight = weight * enlarged(rendering.occlusion, (warped.shape[2], warped.shape[3]))
    flow = pixels.to_edges(rendering.flow, side)
    foreground = flow if rendering.foreground is None else pixels.to_edges(rendering.foreground, side)
    return Layers(rendering.generated - weight * warped, weight, flow, foreground)


def flat_image(layers: Layers, source: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """The generated image itself, of layers in which -1 and +1 are the source's outer edges."""
    return layers.painted + layers.weight * warp(source.expand(layers.flow.shape[0], -1, -1, -1), layers.flow)


def ramp(values: Tensor, low: float, high: float) -> Tensor:
    """0 below `low`, 1 above `high`, and a smooth step between."""
    share = ((values - low) / (high - low)).clamp(0, 1)
    return share * share * (3 - 2 * share)


def enlarged(planes: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c h2 w2"]:
    """Planes at another size, bilinear; as they are where they have it."""
    if (planes.shape[2], planes.shape[3]) == size:
        return planes
    return F.interpolate(planes, size, mode="bilinear", align_corners=False)


def sampled(image: Float[Tensor, "1 c h w"], moved: Float[Tensor, "b 2 h w"]) -> Float[Tensor, "b c h w"]:
    """The image taken from as far away as `moved` says, in [-1, 1] units; its border goes on outside."""
    at = coordinate_grid(image.shape[2], image.shape[3], image) + rearrange(moved, "b d h w -> b h w d")
    batch = image.expand(moved.shape[0], -1, -1, -1)
    return F.grid_sample(batch, at, mode="bilinear", padding_mode="border", align_corners=False)
