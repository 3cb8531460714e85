"""The picture at the photo's resolution: the person in front of what is behind it, and no seam at the crop's rim (not in
the paper).

The flow knows no resolution, so the sharp photo is warped by it; what the decoder painted is enlarged. Where the head was
and no longer is, a fill of the background (`plate`) shows. Towards the rim of the crop motion and painting fade, so that
its last pixels are the photo's own.
"""

from dataclasses import dataclass

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
UNMIXED = (0.2, 0.6)  # of the matte: from where on the person's colours are solved for, not filled in
GROWN = 9  # pixels of the networks' image, odd: the plate is filled this far around the matte
NEAR = 0.04  # of a colour: how far from the warped photo an image may be and still count as showing it
CHANGED = 0.25  # of the matte: from this change on nothing of the photo's own rest is kept
STILL = 1 / 64  # of the side, at the rim: nothing moves there


@dataclass(frozen=True, kw_only=True)
class CompositionConfig:
    """How pictures are put together. `rim`: over which share of the crop's side motion fades to nothing; what is painted
    fades inside that. `has_plate`: whether the person is cut out; without, the background moves with it."""

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
        plate = fill(photo, (enlarged(grown, size) < STILL).float())
        person = torch.lerp(
            fill(photo, (large > FIRM[1]).float()),
            (plate + (photo - plate) / large.clamp_min(UNMIXED[0])).clamp(0, 1),
            ramp(large, *UNMIXED),
        )
        return Backdrop(person, plate, photo - torch.lerp(plate, person, large), share)

    def forward(self, layers: Layers, backdrop: Backdrop) -> Float[Tensor, "b 3 s s"]:
        """The picture, in [0, 1]."""
        side, size = layers.weight.shape[-1], (backdrop.plate.shape[2], backdrop.plate.shape[3])
        inner = self._inner(side, layers.weight)
        moved = self._displacement(layers.flow)
        matte = self._matte(layers, backdrop)
        shown = matte * (1 - inner * (1 - layers.weight))
        kept = (1 - (matte - backdrop.matte).abs() / CHANGED).clamp_min(0)
        planes = enlarged(torch.cat([matte * inner * layers.painted, shown, 1 - matte, kept], 1), size)
        painted, shown, behind, kept = planes.split([3, 1, 1, 1], 1)
        warped = sampled(backdrop.person, enlarged(moved, size))
        return (painted + shown * warped + behind * backdrop.plate + kept * backdrop.rest).clamp(0, 1)

    def _matte(self, layers: Layers, backdrop: Backdrop) -> Float[Tensor, "b 1 h h"]:
        """The person's share of each pixel of the picture, at the networks' size."""
        size = (backdrop.matte.shape[2], backdrop.matte.shape[3])
        return sampled(backdrop.matte, enlarged(self._displacement(layers.foreground), size))

    def _displacement(self, flow: Float[Tensor, "b h w 2"]) -> Float[Tensor, "b 2 h w"]:
        """How far away a pixel is taken from, which fades to nothing at the rim."""
        moved = rearrange(flow - coordinate_grid(flow.shape[1], flow.shape[2], flow), "b h w d -> b d h w")
        return moved * ramp(from_rim(flow.shape[1], flow), STILL, self.config.rim + STILL)

    def _inner(self, side: int, like: Tensor) -> Float[Tensor, "h h"]:
        """Where what was painted counts: 0 at the rim, 1 inside."""
        return ramp(from_rim(side, like), self.config.rim / 2, self.config.rim * 1.3)


def layers_of(rendering: Rendering, pixels: Pixels) -> Layers:
    """A rendering taken apart. Where its decoder does not say how much of the photo shows, it is judged by how near the
    image is to the warped photo, and by the occlusion."""
    warped, side = rendering.warped, rendering.generated.shape[-1]
    weight = rendering.weight
    if weight is None:
        away = F.avg_pool2d((rendering.generated - warped).abs().mean(1, keepdim=True), 5, 1, 2)
        visible = enlarged(rendering.occlusion, (warped.shape[2], warped.shape[3]))
        weight = visible * torch.exp(-(away / NEAR).square())
    flow, foreground = (pixels.to_edges(flow, side) for flow in (rendering.flow, rendering.foreground))
    return Layers(rendering.generated - weight * warped, weight, flow, foreground)


def flat_image(layers: Layers, source: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """The generated image itself, of layers in which -1 and +1 are the source's outer edges."""
    return layers.painted + layers.weight * warp(source, layers.flow)


def from_rim(side: int, like: Tensor) -> Float[Tensor, "h h"]:
    """The distance of each pixel's centre from the nearest edge of a square, in sides."""
    return (1 - coordinate_grid(side, side, like).abs().amax(-1)) / 2


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
    batch = image.expand(len(moved), -1, -1, -1)
    return F.grid_sample(batch, at, mode="bilinear", padding_mode="border", align_corners=False)
