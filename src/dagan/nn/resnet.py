"""Residual encoder (He et al., reference [9] of the paper) that returns features at 1/2 to 1/32 of the image size.

Module names are the customary ones (`conv1, bn1, layerX.Y.conv1, ..., downsample.0`), so that other people's weights
map one to one.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut: the block of ResNet-18 and -34."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(in_channels, width, stride)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        residual = torch.relu(self.bn1(self.conv1(x)))
        residual = self.bn2(self.conv2(residual))
        return torch.relu(residual + self.downsample(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 (strided), 1x1 convolutions with a shortcut: the block of ResNet-50."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        out_channels = width * self.expansion
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = _shortcut(in_channels, out_channels, stride)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        residual = torch.relu(self.bn1(self.conv1(x)))
        residual = torch.relu(self.bn2(self.conv2(residual)))
        residual = self.bn3(self.conv3(residual))
        return torch.relu(residual + self.downsample(x))


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """The identity, or a strided 1x1 convolution where the shape changes."""
    if in_channels == out_channels and stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels))


class Architecture(NamedTuple):
    """What distinguishes the depths of the family: the block, and how many of them each layer has."""

    block: type[BasicBlock] | type[Bottleneck]
    blocks_per_layer: tuple[int, int, int, int]


ARCHITECTURES = {
    18: Architecture(BasicBlock, (2, 2, 2, 2)),
    50: Architecture(Bottleneck, (3, 4, 6, 3)),
}


class ResNetEncoder(nn.Module):
    """Image (or stacked images) to five feature maps at 1/2, 1/4, 1/8, 1/16, 1/32 (rounded up), fine to coarse.

    `channels` lists their widths. Raises `ValueError` for a depth other than 18 or 50.
    """

    def __init__(self, num_layers: int = 18, base_width: int = 64, in_channels: int = 3) -> None:
        super().__init__()
        if num_layers not in ARCHITECTURES:
            raise ValueError(f"no ResNet-{num_layers}: num_layers must be one of {sorted(ARCHITECTURES)}")
        block, blocks_per_layer = ARCHITECTURES[num_layers]
        widths = [base_width * 2**level for level in range(4)]
        self.channels = (base_width, *(width * block.expansion for width in widths))
        self.conv1 = nn.Conv2d(in_channels, base_width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(base_width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = _layer(block, self.channels[0], widths[0], blocks_per_layer[0], stride=1)
        self.layer2 = _layer(block, self.channels[1], widths[1], blocks_per_layer[1], stride=2)
        self.layer3 = _layer(block, self.channels[2], widths[2], blocks_per_layer[2], stride=2)
        self.layer4 = _layer(block, self.channels[3], widths[3], blocks_per_layer[3], stride=2)
        self.apply(_initialise)

    def forward(self, x: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b _c _h _w"], ...]:
        half = torch.relu(self.bn1(self.conv1(x)))
        quarter = self.layer1(self.maxpool(half))
        eighth = self.layer2(quarter)
        sixteenth = self.layer3(eighth)
        return half, quarter, eighth, sixteenth, self.layer4(sixteenth)


def _layer(
    block: type[BasicBlock] | type[Bottleneck], in_channels: int, width: int, num_blocks: int, stride: int
) -> nn.Sequential:
    later = [block(width * block.expansion, width, 1) for _ in range(num_blocks - 1)]
    return nn.Sequential(block(in_channels, width, stride), *later)


def _initialise(module: nn.Module) -> None:
    """Convolutions by He et al. (fan out): with batch norm this trains from scratch without a pretrained encoder."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
