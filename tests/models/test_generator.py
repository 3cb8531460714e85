"""Encode, warp and occlude, refine, decode."""

import pytest
import torch

from dagan.geometry.warp import occlude, warp
from dagan.models.decoder import BlendDecoderConfig, PlainDecoderConfig
from dagan.models.generator import Generator, GeneratorConfig
from dagan.models.refine import AttentionConfig
from dagan.types import DenseMotion, View
from parts import identity_flow, random_keypoints

PLAIN = GeneratorConfig(width=4, cap=8, decoder=PlainDecoderConfig(num_res_blocks=1))
FULL = GeneratorConfig(
    width=4, num_down=3, cap=8, refine=AttentionConfig(), decoder=BlendDecoderConfig(num_res_blocks=1, last_width=4)
)
POINTS = random_keypoints(2)  # of the driving frame


def encoded(generator: Generator, side: int = 32, batch: int = 2) -> View:
    image, depth = torch.rand(batch, 3, side, side), torch.rand(batch, 1, side, side)
    return View(image, depth, random_keypoints(batch), generator.encode(image, depth))


def still(batch: int = 2, visible: float = 1.0) -> DenseMotion:
    flow, mask = identity_flow(batch, 8, 8), torch.full((batch, 2, 8, 8), 0.5)
    return DenseMotion(flow, mask, torch.full((batch, 1, 8, 8), visible), flow)


@pytest.mark.parametrize("config", [PLAIN, FULL])
@pytest.mark.parametrize("side", [32, 96])
def test_the_rendering_holds_the_image_and_everything_that_made_it(config: GeneratorConfig, side: int) -> None:
    generator, motion = config.build().eval(), still()
    source = encoded(generator, side)
    rendering = generator(source, motion, POINTS)
    assert rendering.generated.shape == source.image.shape
    assert rendering.flow is motion.flow
    assert rendering.mask is motion.mask
    assert rendering.occlusion is motion.occlusion
    assert rendering.attention is None


def test_identity_motion_warps_the_source_to_itself() -> None:
    generator = FULL.build().eval()
    source = encoded(generator)
    assert torch.allclose(generator(source, still(), POINTS).warped, source.image, atol=1e-5)


def test_only_the_features_that_the_decoder_reads_are_kept_fine_to_coarse() -> None:
    image, depth = torch.rand(1, 3, 32, 32), torch.rand(1, 1, 32, 32)
    plain, full = PLAIN.build().encode(image, depth), FULL.build().encode(image, depth)
    assert [tuple(feature.shape[1:]) for feature in plain.features] == [(8, 8, 8)]
    assert [tuple(feature.shape[1:]) for feature in full.features] == [(8, 16, 16), (8, 8, 8), (8, 4, 4)]
    assert plain.depth_features is None
    assert full.depth_features is not None
    assert full.depth_features.shape == full.features[-1].shape


def test_depth_and_image_encoders_have_one_structure() -> None:
    generator = FULL.build()
    image_names = {name: p.shape for name, p in generator.encoder.state_dict().items()}
    depth_names = {name: p.shape for name, p in generator.depth_encoder.encoder.state_dict().items()}
    assert image_names.pop("first.conv.weight")[1] == 3
    assert depth_names.pop("first.conv.weight")[1] == 1
    assert image_names == depth_names


def test_where_everything_is_occluded_the_source_is_not_seen() -> None:
    generator = PLAIN.build().eval()
    one, other = encoded(generator), encoded(generator)
    assert torch.equal(
        generator(one, still(visible=0.0), POINTS).generated, generator(other, still(visible=0.0), POINTS).generated
    )
    assert not torch.equal(generator(one, still(), POINTS).generated, generator(other, still(), POINTS).generated)


def test_occlusion_is_resized_to_the_feature() -> None:
    occlusion = torch.rand(1, 1, 4, 4)
    assert torch.equal(occlude(torch.ones(1, 3, 4, 4), occlusion), occlusion.expand(1, 3, 4, 4))
    large = occlude(torch.ones(1, 3, 8, 8), occlusion)
    assert torch.allclose(large.mean(), occlusion.mean(), atol=0.1)
    assert torch.equal(large[..., 0, 0], occlusion[..., 0, 0].expand(1, 3))


def test_the_decoder_reads_warped_and_occluded_skips() -> None:
    generator, seen = FULL.build().eval(), []
    generator.decoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs))
    source = encoded(generator)
    motion = still()._replace(flow=identity_flow(2, 8, 8) + 0.1, occlusion=torch.rand(2, 1, 8, 8))
    generator(source, motion, POINTS)
    skips, warped_image = seen[0][1:3]
    assert source.appearance is not None
    for skip, feature in zip(skips, source.appearance.features[:-1], strict=True):
        assert torch.equal(skip, occlude(warp(feature, motion.flow), motion.occlusion))
    assert torch.equal(warped_image, warp(source.image, motion.flow))


def test_attention_comes_out_when_asked_for() -> None:
    generator = FULL.build().eval()
    rows = generator(encoded(generator), still(), POINTS, with_attention=True).attention
    assert rows is not None
    assert rows.shape == (2, 16, 16)


def test_a_source_that_was_not_encoded_is_refused() -> None:
    generator = PLAIN.build()
    with pytest.raises(ValueError, match=r"TalkingHead\.encode"):
        generator(encoded(generator)._replace(appearance=None), still(), POINTS)


def test_a_depth_encoder_without_depth_is_refused() -> None:
    with pytest.raises(ValueError, match="depth network"):
        FULL.build().encode(torch.rand(1, 3, 32, 32), None)
