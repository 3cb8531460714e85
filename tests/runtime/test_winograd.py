"""Residual blocks by minimal filtering."""

import torch
from torch import nn

from dagan.nn.blocks import ResBlock
from dagan.runtime.winograd import WinogradChain, suits, transforms


def blocks(channels: int, count: int = 2) -> nn.Sequential:
    made = nn.Sequential(*(ResBlock(channels) for _ in range(count))).eval()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
    return made


def test_the_transforms_convolve() -> None:
    back, weights, forth = transforms()
    values, taps = torch.randn(6, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    found = back @ ((weights @ taps) * (forth @ values))
    expected = values.unfold(0, 3, 1) @ taps
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@torch.no_grad()
def test_a_chain_computes_what_its_blocks_do_up_to_the_border() -> None:
    ours = blocks(8)
    x = torch.randn(1, 8, 12, 12)
    torch.testing.assert_close(WinogradChain(ours, 12)(x), ours(x), rtol=0, atol=2e-5)


def test_only_wide_residual_blocks_of_whole_tiles_are_filtered() -> None:
    assert suits(blocks(128, 1), 16)
    assert not suits(blocks(128, 1), 18)
    assert not suits(blocks(64, 1), 16)
    assert not suits(nn.Sequential(nn.Conv2d(128, 128, 3)), 16)
