"""Convolutions to few channels, several pixels at a time."""

import pytest
import torch
from torch import nn

from dagan.runtime.narrow import NarrowConv, factor_for


@torch.no_grad()
@pytest.mark.parametrize(("channels", "kernel", "padding", "factor"), [(3, 7, 3, 2), (1, 3, 1, 4), (1, 3, 0, 4)])
def test_several_pixels_at_a_time_are_the_same_convolution(channels, kernel, padding, factor) -> None:
    conv = nn.Conv2d(5, channels, kernel, padding=padding)
    assert factor_for(conv) == factor
    side = 16 + kernel - 1 - 2 * padding
    x = torch.randn(2, 5, side, side)
    torch.testing.assert_close(NarrowConv(conv, factor)(x), conv(x), rtol=0, atol=1e-5)


@torch.no_grad()
def test_sizes_that_do_not_divide_are_left_to_the_convolution() -> None:
    conv = nn.Conv2d(2, 1, 3, padding=1)
    x = torch.randn(1, 2, 9, 9)
    torch.testing.assert_close(NarrowConv(conv, 4)(x), conv(x))


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(8, 16, 3),
        nn.Conv2d(8, 15, 7),
        nn.Conv2d(8, 1, 1),
        nn.Conv2d(8, 1, 3, stride=2),
        nn.Conv2d(8, 8, 3, groups=8),
    ],
    ids=["sixteen channels", "nearly sixteen", "1x1", "strided", "by channel"],
)
def test_where_nothing_is_gained_a_convolution_stays(conv) -> None:
    assert factor_for(conv) == 1
