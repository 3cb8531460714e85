import pytest
import torch

from dagan.nn.hourglass import Hourglass


@pytest.mark.parametrize("size", [(16, 16), (8, 24), (13, 7), (1, 1)])
def test_the_maps_have_the_inputs_size_and_the_promised_channels(size: tuple[int, int]) -> None:
    hourglass = Hourglass(in_channels=5, width=4, cap=16, num_blocks=3).eval()
    assert hourglass.out_channels == 4 + 5
    assert hourglass(torch.rand(2, 5, *size)).shape == (2, 9, *size)


def test_the_input_itself_is_the_last_skip() -> None:
    x = torch.rand(2, 3, 8, 8)
    assert torch.equal(Hourglass(3, 4, 16, 2)(x)[:, 4:], x)


def test_widths_double_up_to_the_cap() -> None:
    hourglass = Hourglass(in_channels=3, width=4, cap=10, num_blocks=3)
    assert [down.conv.out_channels for down in hourglass.down] == [8, 10, 10]
    assert [up.conv.out_channels for up in hourglass.up] == [10, 8, 4]
    assert [up.conv.in_channels for up in hourglass.up] == [10, 20, 16]


def test_gradients_reach_every_parameter() -> None:
    hourglass = Hourglass(3, 4, 8, 3)
    (hourglass(torch.rand(2, 3, 16, 16)) * torch.randn(7, 16, 16)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in hourglass.parameters())


def test_every_pixel_of_the_input_counts_even_with_odd_sizes() -> None:
    x = torch.rand(1, 3, 11, 11, requires_grad=True)
    hourglass = Hourglass(3, 4, 8, 3).eval()
    (gradient,) = torch.autograd.grad(hourglass(x)[:, :4].sum(), x)
    assert gradient.abs().sum(1).min() > 0
