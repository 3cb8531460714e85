"""A smaller model's weights in a larger one."""

import runpy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dagan.errors import UserError
from dagan.models.talking_head import FaceConfig, TalkingHeadConfig

grow = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "grow_weights.py"))["grow"]


@pytest.fixture
def parts(tiny_config: TalkingHeadConfig) -> TalkingHeadConfig:
    keypoints = replace(tiny_config.keypoints, num_keypoints=19)
    return replace(tiny_config, keypoints=keypoints)


def test_a_model_with_the_whole_faces_motion_begins_where_the_one_without_ended(parts: TalkingHeadConfig) -> None:
    whole = replace(parts, face=FaceConfig(retargeting=None, reader=None))
    small, large = parts.build().eval(), whole.build().eval()
    grow(small, large)
    images = torch.rand(2, 2, 3, 64, 64)
    source, driving = map(small.view, images)
    before, after = (model.render(source, driving.keypoints) for model in (small, large))
    assert torch.allclose(after.mask[:, :-1] / (1 - after.mask[:, -1:]), before.mask, atol=1e-5)
    assert 0 < after.mask[:, -1].min() < after.mask[:, -1].max() < 1
    with torch.no_grad():
        large.motion.mask_prior.pieces[0] -= 100  # what is left of the difference is the new motion's share
    assert torch.allclose(large.render(source, driving.keypoints).generated, before.generated, atol=1e-5)


def test_retargeting_begins_as_the_transfer_without_it(parts: TalkingHeadConfig) -> None:
    whole = replace(parts, face=FaceConfig(retargeting=None, reader=None))
    small, large = whole.build().eval(), replace(whole, face=FaceConfig(reader=None)).build().eval()
    grow(small, large)
    source, rest, driving = (view.keypoints for view in map(small.view, torch.rand(3, 1, 3, 64, 64)))
    moved, before = (model.mover(source, rest)(driving) for model in (large, small))
    assert torch.equal(moved.position, before.position)


def test_what_is_new_learns_from_the_first_step(parts: TalkingHeadConfig) -> None:
    large = replace(parts, face=FaceConfig(retargeting=None, reader=None)).build()
    grow(parts.build(), large)
    motion, images = large.motion, torch.rand(2, 2, 3, 64, 64)
    flow = large(*images).flow
    (flow * torch.randn_like(flow)).sum().backward()
    seen = motion.hourglass.down[0].conv.weight
    assert seen[:, -4:].abs().max() == motion.mask.weight[-1].abs().max() == 0
    for gradient in (seen.grad[:, -3:], motion.mask.weight.grad[-1], motion.mask_prior.pieces[0].grad):
        assert gradient.abs().sum() > 0


def test_new_residual_blocks_start_as_the_identity(parts: TalkingHeadConfig) -> None:
    decoder = replace(parts.generator.decoder, num_res_blocks=2, num_join_blocks=1)
    small = parts.build().eval()
    large = replace(parts, generator=replace(parts.generator, decoder=decoder)).build().eval()
    grow(small, large)
    images = torch.rand(2, 1, 3, 64, 64)
    assert torch.equal(large(*images).generated, small(*images).generated)


def test_a_model_that_differs_in_more_is_refused(parts: TalkingHeadConfig) -> None:
    wider = replace(parts, motion=replace(parts.motion, width=16))
    with pytest.raises(UserError, match="more residual blocks or motions"):
        grow(parts.build(), wider.build())
