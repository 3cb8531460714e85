"""Convolutions in 8-bit whole numbers."""

import pytest
import torch
from torch import nn

from dagan.runtime.fold import FoldedUpBlock, fold
from dagan.runtime.quantize import QuantizedConv, Quantizer, Range, quantize

SIDE = 64


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture
def quantized(tiny_model):
    images = torch.rand(2, 3, SIDE, SIDE)
    return quantize(fold(tiny_model, SIDE), lambda model: drawn(model, images)), images


def drawn(model, images) -> torch.Tensor:
    return model.render(model.view(images[:1]), model.view(images[1:]).keypoints).generated


def test_levels_begin_at_zero_unless_something_negative_was_seen() -> None:
    positive = Quantizer(Range().joined(torch.tensor([0.0, 2.55])))
    signed = Quantizer(Range().joined(torch.tensor([-1.27, 1.0])))
    x = torch.tensor([-3.0, 0.012, 1.0, 9.0])
    torch.testing.assert_close(positive(x), torch.tensor([0.0, 0.01, 1.0, 2.55]))
    torch.testing.assert_close(signed(x), torch.tensor([-1.28, 0.01, 1.0, 1.27]))


def test_a_clipped_range_leaves_single_values_outside() -> None:
    values = torch.cat([torch.rand(100_000), torch.tensor([50.0] * 5)])
    assert Range(clips=True).joined(values).means[1] < 1.01
    assert Range().joined(values).means[1] == 50


def test_each_output_channel_has_its_own_levels() -> None:
    conv = nn.Conv2d(8, 2, 3, bias=False)
    conv.weight[0] *= 1e-3
    x = torch.randn(1, 8, 6, 6)
    apart = (QuantizedConv(conv, nn.Identity())(x) - conv(x)).abs().amax((0, 2, 3)) / conv(x).abs().amax((0, 2, 3))
    assert (apart < 0.02).all()
    assert (apart > 0).all()


def test_what_places_keypoints_and_pixels_stays_in_floats(quantized) -> None:
    model, _ = quantized
    whole = {name for name, module in model.named_modules() if isinstance(module, QuantizedConv)}
    assert any(name.startswith("generator.decoder.res") for name in whole)
    assert any(name.startswith("motion.hourglass") for name in whole)
    for kept in ("heatmap", "jacobian", "motion.mask", "motion.occlusion", "heads", "refine"):
        assert not any(kept in name for name in whole), kept


def test_the_four_convolutions_of_an_enlarging_block_share_what_they_see(quantized) -> None:
    model, _ = quantized
    blocks = [module for module in model.generator.decoder.modules() if isinstance(module, FoldedUpBlock)]
    assert blocks
    for block in blocks:
        assert isinstance(block.seen, Quantizer)
        assert all(isinstance(place.quantizer, nn.Identity) for place in block.places)


def test_the_picture_is_nearly_the_same(quantized, tiny_model) -> None:
    model, images = quantized
    apart = drawn(model, images) - drawn(tiny_model, images)
    assert 1e-5 < float(apart.abs().max()) < 0.1
