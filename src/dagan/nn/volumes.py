"""The blocks of `blocks.py` and the hourglass for volumes. Pooling and enlargement leave the depth as it is."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

FLAT = (1, 2, 2)  # of depth, height, width


class SameBlock3d(nn.Module):
    """Convolution 3x3x3, batch norm, ReLU; the size stays."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv = nn.Conv3d(in_channels, out_channels, 3, padding=1)
        self.norm = nn.BatchNorm3d(out_channels)

    def forward(self, x: Float[Tensor, "b c d h w"]) -> Float[Tensor, "b c2 d h w"]:
        return F.relu(self.norm(self.conv(x)))


class DownBlock3d(SameBlock3d):
    """`SameBlock3d`, then 2x2 average pool of height and width."""

    def forward(self, x: Float[Tensor, "b c d h w"]) -> Float[Tensor, "b c2 d h2 w2"]:
        return F.avg_pool3d(super().forward(x), FLAT, ceil_mode=True)


class UpBlock3d(SameBlock3d):
    """Nearest enlargement of height and width, by 2 unless a size is given, then `SameBlock3d`."""

    def forward(
        self, x: Float[Tensor, "b c d h w"], size: tuple[int, int] | None = None
    ) -> Float[Tensor, "b c2 d h2 w2"]:
        height, width = size or (2 * x.shape[3], 2 * x.shape[4])
        return super().forward(F.interpolate(x, (x.shape[2], height, width), mode="nearest"))


class ResBlock3d(nn.Module):
    """Twice (batch norm, ReLU, convolution 3x3x3), plus the input."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm3d(channels), nn.BatchNorm3d(channels)
        self.conv1, self.conv2 = (nn.Conv3d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: Float[Tensor, "b c d h w"]) -> Float[Tensor, "b c d h w"]:
        hidden = self.conv1(F.relu(self.norm1(x)))
        return torch.add(x, self.conv2(F.relu(self.norm2(hidden))))


class Hourglass3d(nn.Module):
    """`hourglass.Hourglass` for volumes, and one more `SameBlock3d` at its end."""

    def __init__(self, in_channels: int, width: int, cap: int, num_blocks: int):
        super().__init__()
        widths = [in_channels] + [min(cap, width * 2 ** (i + 1)) for i in range(num_blocks)]
        self.down = nn.ModuleList(DownBlock3d(widths[i], widths[i + 1]) for i in range(num_blocks))
        self.up = nn.ModuleList()
        channels = widths[-1]
        for i in reversed(range(num_blocks)):
            self.up.append(UpBlock3d(channels, min(cap, width * 2**i)))
            channels = min(cap, width * 2**i) + widths[i]
        self.last = SameBlock3d(channels, channels)
        self.out_channels = channels

    def forward(self, x: Float[Tensor, "b c d h w"]) -> Float[Tensor, "b c2 d h w"]:
        skips = []
        for down in self.down:
            skips.append(x)
            x = down(x)
        for up, skip in zip(self.up, reversed(skips), strict=True):
            x = torch.cat([up(x, (skip.shape[3], skip.shape[4])), skip], dim=1)
        refined: Tensor = self.last(x)
        return refined
