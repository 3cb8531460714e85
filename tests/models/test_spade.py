"""The SPADE decoder: its normalisation by definition, its guide, and its gradients."""

import pytest
import torch
import torch.nn.functional as F

from dagan.models.spade import SpadeBlock, SpadeDecoder, SpadeDecoderConfig, SpadeNorm

CONFIG = SpadeDecoderConfig(width=16, num_blocks=1, up_widths=(8, 4), hidden=4, guide_channels=2)
WIDTHS = (4, 8, 12)


def inputs() -> tuple:
    return torch.randn(2, 12, 4, 4), (), torch.rand(2, 3, 16, 16), torch.rand(2, 1, 4, 4), torch.zeros(2, 3, 2)


def test_the_norm_is_the_normalised_map_scaled_and_shifted_by_the_guide():
    norm, x, guide = SpadeNorm(5, 3, 4), torch.randn(2, 5, 4, 4) * 3 + 1, torch.randn(2, 3, 8, 8)
    seen = F.relu(norm.shared(guide[:, :, ::2, ::2]))  # nearest: every second pixel
    mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), keepdim=True, unbiased=False)
    wanted = (x - mean) / (variance + 1e-5).sqrt() * (1 + norm.scale(seen)) + norm.shift(seen)
    torch.testing.assert_close(norm(x, guide), wanted)


def test_a_block_of_one_width_keeps_its_input_when_its_branch_is_zero():
    block, x, guide = SpadeBlock(6, 6, 3, 4), torch.randn(1, 6, 4, 4), torch.randn(1, 3, 4, 4)
    block.conv1 = torch.nn.Conv2d(6, 6, 3, padding=1).requires_grad_(False)
    for value in block.conv1.parameters():
        value.zero_()
    torch.testing.assert_close(block.eval()(x, guide), x)


def test_convolutions_have_spectral_norm_one_and_the_middle_is_the_narrower_width():
    block = SpadeBlock(12, 5, 3, 4).train()
    for _ in range(60):
        block(torch.randn(1, 12, 4, 4), torch.randn(1, 3, 4, 4))
    assert block.conv0.out_channels == 5
    for conv in (block.conv0, block.conv1, block.shortcut.conv):
        torch.testing.assert_close(
            torch.linalg.matrix_norm(conv.weight.flatten(1), 2), torch.tensor(1.0), rtol=1e-3, atol=0
        )


def test_the_image_is_within_0_and_1_at_four_times_the_features_size():
    decoder = CONFIG.build(WIDTHS)
    image = decoder(*inputs()).image
    assert image.shape == (2, 3, 16, 16)
    assert 0 < image.min() < image.max() < 1


def test_the_guide_is_the_warped_source_where_it_is_visible():
    decoder = CONFIG.build(WIDTHS).eval()
    refined, skips, warped, _, driving = inputs()
    hidden = torch.zeros(2, 1, 4, 4)
    assert torch.equal(
        decoder(refined, skips, warped, hidden, driving).image,
        decoder(refined, skips, 1 - warped, hidden, driving).image,
    )
    shown = torch.ones(2, 1, 4, 4)
    assert not torch.equal(
        decoder(refined, skips, warped, shown, driving).image, decoder(refined, skips, 1 - warped, shown, driving).image
    )


def test_gradients_reach_every_parameter_and_everything_that_is_read():
    decoder = SpadeDecoder(CONFIG, WIDTHS[-1])
    refined, skips, warped, occlusion, driving = (value.requires_grad_() if len(value) else value for value in inputs())
    decoder(refined, skips, warped, occlusion, driving).image[:, :, ::3].square().sum().backward()
    silent = [name for name, value in decoder.named_parameters() if value.grad is None or not value.grad.any()]
    # the instance norm that follows takes a constant away, and one of two shifts after another cannot be told from it
    assert not [name for name in silent if not name.endswith(("conv0.bias", "expand.bias"))]
    assert all(value.grad.any() for value in (refined, warped, occlusion))


def test_an_encoder_that_halves_more_often_than_the_decoder_doubles_is_refused():
    with pytest.raises(ValueError, match="doubles 2 times"):
        CONFIG.build((4, 8, 12, 16))
