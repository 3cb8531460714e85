"""LPIPS (Zhang et al., 2018) with AlexNet, version 0.1: learned perceptual distance. Accumulate with `Mean`."""

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from dagan.errors import UserError

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of inputs in [-1, 1]
EPS = 1e-10  # as the authors' code
POOL_BEFORE = (1, 2)  # convolutions of AlexNet whose input is pooled first
CONVOLUTIONS = (  # torchvision's index, channels in and out, side, stride, padding
    (0, 3, 64, 11, 4, 2),
    (3, 64, 192, 5, 1, 2),
    (6, 192, 384, 3, 1, 1),
    (8, 384, 256, 3, 1, 1),
    (10, 256, 256, 3, 1, 1),
)


class Features(NamedTuple):
    """AlexNet's five layers, each position at unit length over the channels, and the last layer's spatial mean."""

    layers: tuple[Float[Tensor, "b _c _h _w"], ...]
    pooled: Float[Tensor, "b c"]


class LpipsAlex(nn.Module):
    """AlexNet's convolutions and the learned weight of each channel. Frozen."""

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.ModuleDict(
            {str(i): nn.Conv2d(a, b, side, stride, padding) for i, a, b, side, stride, padding in CONVOLUTIONS}
        )
        self.channel_weights = nn.ParameterList(torch.zeros(1, conv[2], 1, 1) for conv in CONVOLUTIONS)
        self.register_buffer("shift", torch.tensor(SHIFT).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)

    def look(self, image: Float[Tensor, "b 3 h w"]) -> Features:
        """What the distance compares of an image in [0, 1]; at least 31 pixels high and wide."""
        x = (image * 2 - 1 - self.shift) / self.scale
        layers = []
        for place, convolution in enumerate(self.features.values()):
            if place in POOL_BEFORE:
                x = F.max_pool2d(x, 3, 2)
            x = F.relu(convolution(x))
            layers.append(x / (x.square().sum(1, keepdim=True).sqrt() + EPS))
        return Features(tuple(layers), x.mean((2, 3)))

    def distance(self, a: Features, b: Features, region: Float[Tensor, "b 1 h w"] | None = None) -> Float[Tensor, " b"]:
        """LPIPS from two looks: squared differences, weighted over channels, averaged over space, summed over layers.

        0 for equal images, about 0.7 for very different ones; lower is better. With `region`, a weight in [0, 1] for
        each pixel, the average is over the region.
        """
        parts = [
            _spatial_mean(((x - y).square() * weight).sum(1, keepdim=True), region)
            for x, y, weight in zip(a.layers, b.layers, self.channel_weights, strict=True)
        ]
        return torch.stack(parts).sum(0)

    def forward(self, generated: Float[Tensor, "b 3 h w"], driving: Float[Tensor, "b 3 h w"]) -> Float[Tensor, " b"]:
        return self.distance(self.look(generated), self.look(driving))


def _spatial_mean(part: Float[Tensor, "b 1 h2 w2"], region: Float[Tensor, "b 1 h w"] | None) -> Float[Tensor, " b"]:
    if region is None:
        return part.mean((1, 2, 3))
    inside = F.interpolate(region, part.shape[2:], mode="area")
    return (part * inside).sum((1, 2, 3)) / inside.sum((1, 2, 3)).clamp(min=EPS)


def load_lpips(alexnet: Path, linear: Path) -> LpipsAlex:
    """LPIPS from AlexNet (torchvision's names) and the authors' linear layers (`linN.model.1.weight`), safetensors.

    Raises:
        UserError: a file that is not these.
    """
    lpips = LpipsAlex()
    state = {}
    try:
        convolutions, weights = load_file(alexnet), load_file(linear)
        for name in (name for name in lpips.state_dict() if name.startswith("features.")):
            state[name] = convolutions[name].float()
        for layer in range(len(CONVOLUTIONS)):
            state[f"channel_weights.{layer}"] = weights[f"lin{layer}.model.1.weight"].float()
        lpips.load_state_dict(state)
    except (SafetensorError, OSError, KeyError, RuntimeError) as error:
        raise UserError(f"not LPIPS with AlexNet: {alexnet}, {linear} ({str(error).splitlines()[0]})") from error
    return lpips.eval()
