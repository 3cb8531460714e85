"""Hourglass network (Fig. 11b, 11c): down to a small map and back, with skips by concatenation."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dagan.nn.blocks import DownBlock, UpBlock


class Hourglass(nn.Module):
    """Encoder of `num_blocks` down blocks, decoder back to the input's size; gives `out_channels` maps.

    Encoder block i has min(cap, width * 2^(i+1)) channels, decoder block i min(cap, width * 2^i), each joined with
    the encoder's tensor of that size, so `out_channels` = width + in_channels.
    """

    def __init__(self, in_channels: int, width: int, cap: int, num_blocks: int):
        super().__init__()
        widths = [in_channels] + [min(cap, width * 2 ** (i + 1)) for i in range(num_blocks)]
        self.down = nn.ModuleList(DownBlock(widths[i], widths[i + 1]) for i in range(num_blocks))
        self.up = nn.ModuleList()
        channels = widths[-1]
        for i in reversed(range(num_blocks)):
            self.up.append(UpBlock(channels, min(cap, width * 2**i)))
            channels = min(cap, width * 2**i) + widths[i]
        self.out_channels = channels

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h w"]:
        # in the precision of the convolutions from the start: else the input, joined at the end, would make all float32
        device = x.device.type
        x = x.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else x
        skips = []
        for down in self.down:
            skips.append(x)
            x = down(x)
        for up, skip in zip(self.up, reversed(skips), strict=True):
            # to the skip's size rather than by 2: small inputs have odd sizes on the way down
            x = torch.cat([up(x, (skip.shape[2], skip.shape[3])), skip], dim=1)
        return x
