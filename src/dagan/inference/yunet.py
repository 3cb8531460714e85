"""The network of YuNet (Wu et al., 2023), a face detector of 53 thousand parameters, in PyTorch.

Depthwise convolutions find features at strides 8, 16 and 32, which are added from coarse to fine; four small heads say
for each cell whether a face is there, where its box is and where its five points are.
"""

from typing import NamedTuple

import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

STRIDES = (8, 16, 32)
HEADS = {"face": 1, "objectness": 1, "box": 4, "points": 10}  # numbers for each cell
CHANNELS = 64  # of the features that heads see
STAGES = ((16, 16, 32), (32, 32, 64), (64, 64, 64), (64, 64, 64), (64, 64, 64))  # channels before, between and after
POOLED = (0, 2, 3, 4)  # stages that see half of the pixels of the one before


class Cells(NamedTuple):
    """What the heads say at one stride, of cells in rows: confidences in [0, 1], offsets in strides (`_decode`)."""

    face: Float[Tensor, "n 1"]
    objectness: Float[Tensor, "n 1"]
    box: Float[Tensor, "n 4"]
    points: Float[Tensor, "n 10"]


class Separable(nn.Sequential):
    """A convolution 1x1, then one 3x3 of each channel by itself."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(nn.Conv2d(before, after, 1), nn.Conv2d(after, after, 3, padding=1, groups=after))


class YuNetNetwork(nn.Module):
    """A picture to `Cells`, from fine to coarse."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.first = Separable(16, 16)
        self.stages = nn.ModuleList(
            nn.ModuleList([Separable(before, between), Separable(between, after)]) for before, between, after in STAGES
        )
        self.lateral = nn.ModuleList(Separable(CHANNELS, CHANNELS) for _ in STRIDES)
        self.heads = nn.ModuleList(
            nn.ModuleDict({name: Separable(CHANNELS, width) for name, width in HEADS.items()}) for _ in STRIDES
        )

    def forward(self, image: Float[Tensor, "1 3 h w"]) -> tuple[Cells, ...]:
        """Of a BGR picture, 0 to 255, whose sides are multiples of 32."""
        x = F.relu(self.first(F.relu(self.stem(image))))
        features = []
        for index, stage in enumerate(self.stages):
            one, two = stage.children()
            x = F.max_pool2d(x, 2) if index in POOLED else x
            x = F.relu(two(F.relu(one(x))))
            features.append(x)
        levels = self._joined(features[-len(STRIDES) :])
        return tuple(_cells(heads, level) for heads, level in zip(self.heads, levels, strict=True))

    def _joined(self, features: list[Tensor]) -> list[Tensor]:
        """Each stride's features with those of the coarser ones."""
        joined = [F.relu(self.lateral[-1](features[-1]))]
        for lateral, finer in zip(self.lateral[-2::-1], features[-2::-1], strict=True):
            joined.insert(0, F.relu(lateral(finer + F.interpolate(joined[0], scale_factor=2, mode="nearest"))))
        return joined


def _cells(heads: nn.Module, features: Float[Tensor, "1 c h w"]) -> Cells:
    assert isinstance(heads, nn.ModuleDict)
    said = Cells(**{name: rearrange(head(features), "1 c h w -> (h w) c") for name, head in heads.items()})
    return said._replace(face=said.face.sigmoid(), objectness=said.objectness.sigmoid())
