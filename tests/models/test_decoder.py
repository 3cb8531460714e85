from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from dagan.models.decoder import BlendDecoder, BlendDecoderConfig, DecoderConfig, PlainDecoderConfig
from dagan.models.talking_head import TalkingHeadConfig

WIDTHS = (4, 8, 12)  # fine to coarse


class Inputs(NamedTuple):
    """What decoders are called with."""

    refined: Tensor
    skips: tuple[Tensor, ...]
    warped_image: Tensor
    occlusion: Tensor
    driving: Tensor


def inputs(num_skips: int, side: int = 32) -> Inputs:
    """A refined feature, the warped skips between coarsest and finest, a warped image and its occlusion."""
    skip = torch.randn(2, WIDTHS[1], side // 2, side // 2)
    refined, warped_image = torch.randn(2, WIDTHS[2], side // 4, side // 4), torch.rand(2, 3, side, side)
    occlusion, driving = torch.rand(2, 1, side // 4, side // 4), torch.rand(2, 5, 2) - 0.5
    return Inputs(refined, (skip,)[:num_skips], warped_image, occlusion, driving)


@pytest.mark.parametrize("side", [32, 96])
@pytest.mark.parametrize(
    "config",
    [
        PlainDecoderConfig(num_res_blocks=1),
        BlendDecoderConfig(num_res_blocks=1),
        BlendDecoderConfig(num_res_blocks=1, num_join_blocks=1, num_points=4),
    ],
)
def test_images_come_out_at_full_size_within_0_and_1(config: DecoderConfig, side: int) -> None:
    decoder = config.build(WIDTHS)
    image = decoder(*inputs(decoder.num_skips, side)).image
    assert image.shape == (2, 3, side, side)
    assert 0 <= image.min() < image.max() <= 1


def test_the_papers_decoder_reads_the_refined_feature_alone() -> None:
    decoder = PlainDecoderConfig(num_res_blocks=1).build(WIDTHS).eval()
    given = inputs(decoder.num_skips)
    assert decoder.num_skips == 0
    assert torch.equal(decoder(*given).image, decoder(*given._replace(warped_image=1 - given.warped_image)).image)


def settled(decoder: BlendDecoder, weight_bias: float) -> BlendDecoder:
    """A decoder that paints grey everywhere, with one blend weight."""
    nn.init.zeros_(decoder.last.weight)
    assert decoder.last.bias is not None
    decoder.last.bias.data[3] = weight_bias
    return decoder


def test_the_blend_is_the_warped_source_where_its_weight_is_one_and_paint_where_it_is_zero() -> None:
    decoder = BlendDecoderConfig(num_res_blocks=1).build(WIDTHS).eval()
    given = inputs(decoder.num_skips)
    assert torch.allclose(settled(decoder, 30.0)(*given).image, given.warped_image)
    assert torch.allclose(settled(decoder, -30.0)(*given).image, torch.full_like(given.warped_image, 0.5))


def test_at_the_start_of_training_the_warped_source_mostly_shows() -> None:
    decoder = BlendDecoderConfig(num_res_blocks=1).build(WIDTHS)
    given = inputs(decoder.num_skips)
    nn.init.zeros_(decoder.last.weight)
    expected = 0.5 + 0.8808 * (given.warped_image - 0.5)
    assert torch.allclose(decoder(*given).image, expected, atol=1e-4)


def test_the_blend_decoder_takes_a_skip_for_every_size_between_the_image_and_the_coarsest() -> None:
    assert BlendDecoderConfig().build((4, 8)).num_skips == 0
    assert BlendDecoderConfig().build((4, 8, 16, 16)).num_skips == 2


@pytest.mark.parametrize(
    "config",
    [
        PlainDecoderConfig(num_res_blocks=1),
        BlendDecoderConfig(num_res_blocks=1),
        BlendDecoderConfig(num_res_blocks=1, num_points=4),
    ],
)
def test_gradients_reach_every_parameter_and_everything_that_is_read(config: DecoderConfig) -> None:
    decoder = config.build(WIDTHS)
    given = inputs(decoder.num_skips)
    read = [given.refined, *given.skips, given.warped_image] if decoder.num_skips else [given.refined]
    for value in read:
        value.requires_grad_()
    image = decoder(*given).image
    (image * torch.randn_like(image)).sum().backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in read)
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in decoder.parameters())


def test_at_the_start_of_training_drawn_keypoints_show_nowhere() -> None:
    decoder = BlendDecoderConfig(num_res_blocks=1, num_points=4).build(WIDTHS).eval()
    given = inputs(decoder.num_skips)
    assert torch.equal(decoder(*given).image, decoder(*given._replace(driving=-given.driving)).image)


def test_once_trained_each_drawn_keypoint_changes_the_picture_about_it_and_the_others_nothing() -> None:
    decoder = BlendDecoderConfig(num_res_blocks=1, num_points=4).build(WIDTHS).eval()
    nn.init.normal_(decoder.draw[0].conv.weight)
    given = inputs(decoder.num_skips, side=96)
    given = given._replace(driving=torch.zeros(2, 5, 2))
    before = decoder(*given).image
    for index in range(5):
        moved = given.driving.clone()
        moved[0, index] = torch.tensor([-0.7, -0.7])  # into the top left
        change = (decoder(*given._replace(driving=moved)).image - before).abs().amax(1)
        assert not change[1].any()
        assert bool(change[0].any()) is (index < 4)
        if index < 4:
            assert change[0, :32, :32].any()
            assert change[0].flip(0)[:16].abs().max() == 0  # far from both places


def test_more_keypoints_than_there_are_cannot_be_drawn(tiny_config: TalkingHeadConfig) -> None:
    decoder = BlendDecoderConfig(num_points=tiny_config.keypoints.num_keypoints + 1)
    with pytest.raises(ValueError, match="num_points"):
        replace(tiny_config, generator=replace(tiny_config.generator, decoder=decoder))
