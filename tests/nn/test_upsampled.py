"""Convolution after nearest enlargement, in quarters."""

import pytest
import torch
import torch.nn.functional as F

from dagan.nn.upsampled import WORTHWHILE, UpsampledConv


def gradients(conv: UpsampledConv, x: torch.Tensor, size: tuple[int, int]) -> list[torch.Tensor]:
    x = x.clone().requires_grad_()
    y = conv(x, size)
    weights = torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(1))
    return [y.detach(), *torch.autograd.grad((y * weights).sum(), [x, conv.weight, conv.bias])]


@pytest.mark.parametrize(("height", "width"), [(32, 33), (1, 2), (5, 4)])
def test_quarters_are_the_convolution_of_the_enlarged_image_and_so_are_their_gradients(height: int, width: int) -> None:
    conv, x, size = UpsampledConv(3, 5).double(), torch.randn(2, 3, height, width).double(), (2 * height, 2 * width)
    conv.worthwhile = 0
    quarters = gradients(conv.train(), x, size)
    plain = gradients(conv.eval(), x, size)
    assert torch.equal(plain[0], F.conv2d(F.interpolate(x, size, mode="nearest"), conv.weight, conv.bias, padding=1))
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(quarters, plain, strict=True))


@pytest.mark.parametrize(
    ("training", "size", "quartered"),
    [
        (True, (64, 64), True),
        (False, (64, 64), False),  # inference keeps the written order
        (True, (63, 64), False),  # odd skips
        (True, (32, 64), False),
    ],
)
def test_quarters_are_taken_in_training_for_twofold_enlargement_alone(
    training: bool, size: tuple[int, int], quartered: bool
) -> None:
    conv, seen = UpsampledConv(3, 5).train(training), []
    conv.in_quarters = lambda x: seen.append(x) or x  # type: ignore[method-assign]
    conv(torch.randn(1, 3, 32, 32), size)
    assert bool(seen) is quartered


def test_few_pixels_are_not_worth_it() -> None:
    conv, seen = UpsampledConv(3, 5), []
    conv.in_quarters = lambda x: seen.append(x) or x  # type: ignore[method-assign]
    conv(torch.randn(1, 3, 16, 16), (32, 32))
    assert not seen
    assert WORTHWHILE > 32 * 32


def test_under_autocast_it_is_as_near_to_float32_as_the_plain_convolution() -> None:
    conv, x = UpsampledConv(16, 16), torch.randn(1, 16, 32, 32).contiguous(memory_format=torch.channels_last)
    exact = conv.eval()(x, (64, 64))
    errors = []
    for training in (False, True):
        with torch.autocast("cpu", torch.bfloat16):
            y = conv.train(training)(x, (64, 64))
        assert y.dtype == torch.bfloat16
        assert y.is_contiguous(memory_format=torch.channels_last)
        errors.append((y.float() - exact).square().mean().sqrt().item())
    assert errors[1] < 1.5 * errors[0]


def test_names_and_shapes_of_weights_are_those_of_a_convolution() -> None:
    assert {name: tuple(value.shape) for name, value in UpsampledConv(3, 5).state_dict().items()} == {
        "weight": (5, 3, 3, 3),
        "bias": (5,),
    }
