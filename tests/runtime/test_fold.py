from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from dagan.geometry.local_motion import invert_2x2
from dagan.models.refine import AttentionConfig
from dagan.nn.blocks import ResizeTo
from dagan.presets import DAGAN_RELEASED, with_sa
from dagan.runtime.fold import FoldedAttention, FoldedResize, FoldedUpBlock, fold

SIDE = 64


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def with_statistics(model):
    """Batch norms as after a training: nothing is 0 or 1."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.running_mean, module.bias):
                tensor.data.normal_(0, 0.1)
            for tensor in (module.running_var, module.weight):
                tensor.data.uniform_(0.5, 1.5)
    return model.eval()


def images() -> tuple[torch.Tensor, torch.Tensor]:
    coarse = torch.rand(2, 3, 8, 8)
    smooth = F.interpolate(coarse, (SIDE, SIDE), mode="bicubic").clamp(0, 1)
    return smooth[:1], smooth[1:]


def narrow_released():
    narrow = {"width": 8, "cap": 16, "num_blocks": 2}
    return replace(
        DAGAN_RELEASED,
        depth=replace(DAGAN_RELEASED.depth, base_width=8, decoder_widths=(4, 8, 8, 8, 8)),
        keypoints=replace(DAGAN_RELEASED.keypoints, **narrow),
        motion=replace(DAGAN_RELEASED.motion, **narrow),
        generator=replace(DAGAN_RELEASED.generator, width=8, cap=16),
    )


@pytest.mark.parametrize("kind", ["lite", "lite with self-attention", "released"])
def test_a_folded_model_computes_what_the_model_computes(kind, tiny_config):
    config = {"lite": tiny_config, "lite with self-attention": with_sa(tiny_config), "released": narrow_released()}[
        kind
    ]
    model = with_statistics(config.build())
    source, frame = images()
    folded = fold(model, SIDE)
    expected, found = model(source, frame), folded(source, frame)
    torch.testing.assert_close(found.generated, expected.generated, rtol=0, atol=1e-4)
    torch.testing.assert_close(found.flow, expected.flow, rtol=0, atol=1e-4)


def test_folding_leaves_the_model_as_it_was(tiny_model):
    before = {name: value.clone() for name, value in tiny_model.state_dict().items()}
    fold(tiny_model, SIDE)
    assert before.keys() == tiny_model.state_dict().keys()
    assert all(torch.equal(value, before[name]) for name, value in tiny_model.state_dict().items())


def test_a_folded_model_is_contiguous_whatever_the_model_was(tiny_model):
    folded = fold(tiny_model.to(memory_format=torch.channels_last), SIDE)
    assert all(parameter.is_contiguous() for parameter in folded.parameters())


def test_folding_leaves_no_batch_norm_but_those_before_an_activation(tiny_model):
    norms = [name for name, part in fold(tiny_model, SIDE).named_modules() if isinstance(part, torch.nn.BatchNorm2d)]
    assert all(name.endswith("norm1") for name in norms)


@pytest.mark.parametrize("size", [(10, 14), (9, 13)])
def test_an_enlarged_convolution_in_four_places_is_the_written_one(size):
    conv, x = torch.nn.Conv2d(3, 4, 3, padding=1), torch.randn(2, 3, 5, 7)
    written = F.relu(conv(F.interpolate(x, size, mode="nearest")))
    torch.testing.assert_close(FoldedUpBlock(conv)(x, size), written)


def test_resizing_by_a_matrix_is_the_antialiased_resize():
    x = torch.rand(1, 3, 96, 96)
    torch.testing.assert_close(FoldedResize(96, 32)(x), ResizeTo(32)(x))


def test_attention_in_parts_is_attention(monkeypatch):
    monkeypatch.setattr("dagan.runtime.fold.ROWS_AT_ONCE", 5)
    attention = AttentionConfig().build(16)
    warped, depth = torch.randn(2, 16, 4, 4), torch.randn(2, 16, 4, 4)
    parts = FoldedAttention(attention)(warped, depth)
    torch.testing.assert_close(parts.feature, attention(warped, depth).feature)
    with pytest.raises(ValueError, match="keeps no attention matrix"):
        FoldedAttention(attention)(warped, depth, True)


def test_the_inverse_by_formula_inverts():
    matrix = torch.randn(3, 5, 2, 2) + 2 * torch.eye(2)
    torch.testing.assert_close(invert_2x2(matrix) @ matrix, torch.eye(2).expand(3, 5, 2, 2), rtol=0, atol=1e-4)
