"""Convolutions that keep their casts."""

import torch
from torch import nn

from dagan.nn.frozen import FrozenConv2d


def both() -> tuple[FrozenConv2d, nn.Conv2d]:
    frozen, plain = FrozenConv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)
    plain.load_state_dict(frozen.state_dict())
    return frozen, plain


def test_it_is_the_same_convolution_with_and_without_autocast() -> None:
    frozen, plain = both()
    x = torch.rand(2, 3, 8, 8)
    assert torch.equal(frozen(x), plain(x))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(frozen(x), plain(x))
        assert frozen(x).dtype == torch.bfloat16


def test_weights_are_cast_once_and_again_when_a_state_is_loaded() -> None:
    frozen, plain = both()
    x = torch.rand(2, 3, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        frozen(x)
        (kept,) = frozen.casts.values()
        frozen(x)
        assert frozen.casts[torch.bfloat16] is kept
        nn.init.ones_(plain.weight)
        frozen.load_state_dict(plain.state_dict())
        assert torch.equal(frozen(x), plain(x))
    assert frozen.to(torch.float64).casts == {}


def test_the_input_gets_its_gradient_and_the_weights_none() -> None:
    frozen, _ = both()
    x = torch.rand(1, 3, 8, 8, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        frozen(x).float().square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
