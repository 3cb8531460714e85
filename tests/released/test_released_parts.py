"""Each place where the released presets compute otherwise than ours, on the part that does (docs/checkpoints.md)."""

from dataclasses import replace
from inspect import signature

import pytest
import torch
import torch.nn.functional as F

from dagan.geometry.keypoints import gaussians
from dagan.geometry.warp import PIXELS
from dagan.losses.objective import Objective
from dagan.losses.perceptual import PerceptualLoss
from dagan.losses.photometric import photometric_error, ssim_map
from dagan.losses.values import Look, PairBatch
from dagan.models.dense_motion import MotionConfig
from dagan.models.depth import depth_from_disparity
from dagan.models.discriminator import DiscriminatorConfig
from dagan.models.keypoints import KeypointConfig, KeypointDetector
from dagan.models.refine import AttentionConfig
from dagan.nn.blocks import AntiAliasDown, ReleasedDown, ReleasedScaleBy
from dagan.presets import DAGAN, DAGAN_RELEASED, DAGAN_SPADE_RELEASED, FOMM_RELEASED, RELEASED
from dagan.training.forward import GenerationNetworks, Share, forward, look_again
from parts import random_keypoints, tiny_perceptual

NARROW = {"width": 4, "cap": 8, "num_blocks": 2}
JUDGE = DiscriminatorConfig(width=4, cap=8, num_keypoints=5, pixels="mixed")


def detector(**changes) -> KeypointDetector:
    torch.manual_seed(0)
    return KeypointConfig(num_keypoints=5, has_jacobian=True, **NARROW, **changes).build().eval()


def test_released_heads_do_not_pad_so_a_map_loses_three_pixels_on_each_side():
    for padded, side in ((True, 16), (False, 10)):
        model = detector(padded=padded)
        seen = []
        model.heatmap.register_forward_hook(lambda *call, seen=seen: seen.append(call[2].shape[2:]))
        model(torch.rand(1, 3, 64, 64), None)
        assert seen == [(side, side)]


def test_the_detectors_grid_is_the_conventions():
    seen = {pixels: detector(pixels=pixels)(torch.rand(1, 3, 64, 64).mul(0), None) for pixels in PIXELS}
    assert torch.equal(seen["mixed"].position, seen["corners"].position)
    torch.testing.assert_close(seen["centres"].position, seen["mixed"].position * 15 / 16)


def test_the_motions_background_is_the_identity_of_its_convention():
    for pixels, convention in PIXELS.items():
        net = MotionConfig(pixels=pixels, resize=ReleasedScaleBy(), **NARROW).build(5)
        torch.nn.init.zeros_(net.mask.weight)
        net.mask.bias.data.copy_(torch.tensor([100.0, 0, 0, 0, 0, 0]))  # the background's motion alone
        keypoints = random_keypoints(1)
        flow = net(torch.rand(1, 3, 64, 64), keypoints, keypoints).flow
        torch.testing.assert_close(flow[0], convention.grid(16, 16, flow))


def test_released_attention_cuts_its_projections_at_zero_and_adds_behind_a_gate():
    warped, depth = torch.randn(2, 1, 16, 4, 4)
    attention = AttentionConfig(gated=True, activation="relu").build(16)
    attention.merge.gamma.data.fill_(0.7)
    query, key, value = (
        F.relu(project(x)).flatten(2)[0]
        for project, x in ((attention.query, depth), (attention.key, warped), (attention.value, warped))
    )
    rows = torch.softmax(query.T @ key, -1)
    wanted = 0.7 * (value @ rows.T).reshape(1, 16, 4, 4) + warped
    refined = attention(warped, depth, with_attention=True)
    torch.testing.assert_close(refined.feature, wanted)
    torch.testing.assert_close(refined.attention[0], rows)


def test_presets_of_the_paper_have_none_of_it():
    ours, released = DAGAN, DAGAN_RELEASED
    assert (ours.keypoints.padded, ours.keypoints.has_jacobian, ours.keypoints.pixels) == (True, False, "centres")
    assert (released.keypoints.padded, released.keypoints.has_jacobian) == (False, True)
    assert (ours.motion.local_motion, released.motion.local_motion) == ("offset", "affine")
    assert ours.generator.refine == AttentionConfig()
    assert released.generator.refine == AttentionConfig(gated=True, activation="relu")
    assert replace(DAGAN_SPADE_RELEASED.generator, decoder=released.generator.decoder) == released.generator
    assert FOMM_RELEASED.depth is None
    assert {config.keypoints.pixels for config in RELEASED.values()} == {"mixed"}


def test_a_discriminator_sees_the_driving_keypoints_and_does_not_move_them():
    judge, keypoints, image = JUDGE.build(), random_keypoints(2), torch.rand(2, 3, 64, 64)
    keypoints.position.requires_grad_()
    prediction = judge(image, keypoints).prediction
    assert not torch.equal(prediction, judge(image, random_keypoints(2)).prediction)
    prediction.sum().backward()
    assert keypoints.position.grad is None
    maps = gaussians(keypoints.position.detach(), (64, 64), 0.01, PIXELS["mixed"].grid)
    assert torch.equal(judge.join(image, keypoints), torch.cat([image, maps], 1))


def test_a_discriminator_that_needs_keypoints_says_so():
    with pytest.raises(ValueError, match="driving keypoints"):
        JUDGE.build()(torch.rand(1, 3, 64, 64))


def test_every_term_of_an_adversarial_objective_runs_with_such_a_discriminator(tiny_config):
    batch = PairBatch(*torch.rand(2, 2, 3, 64, 64))
    names = ("feature_matching", "adversarial", "equivariance", "jacobian_equivariance")
    networks = GenerationNetworks(tiny_config.build(), JUDGE.build(), tiny_perceptual())
    objective = Objective(tuple((name, 1.0) for name in names))
    values = forward(networks, batch, objective.looks)
    values = look_again(networks, values, objective.looks, Share(2, slice(None)))
    sum(term.function(values) for term in objective.terms.values()).backward()
    reached = [value.grad is not None for value in networks.model.keypoints.parameters()]
    assert all(reached)  # though feature matching looked at the driving frame first


def test_the_equivariance_losses_use_the_models_own_pixels(tiny_config, monkeypatch):
    seen = []
    original = F.grid_sample

    def sample(image, grid, **options):
        seen.append((options.get("padding_mode"), options["align_corners"]))
        return original(image, grid, **options)

    config = replace(
        tiny_config,
        keypoints=replace(tiny_config.keypoints, pixels="corners"),
        motion=replace(tiny_config.motion, pixels="corners"),
        generator=replace(tiny_config.generator, pixels="corners"),
    )
    networks = GenerationNetworks(config.build(), JUDGE.build(), tiny_perceptual()).eval()
    values = forward(networks, PairBatch(*torch.rand(2, 1, 3, 64, 64)), frozenset())
    monkeypatch.setattr(F, "grid_sample", sample)
    look_again(networks, values, {Look.TRANSFORMED}, Share(1, slice(None)))
    assert seen == [("reflection", True)]


def test_the_released_pyramid_shrinks_as_the_release_does():
    loss = PerceptualLoss(tiny_perceptual().vgg, (1.0, 0.5), down=ReleasedDown)
    assert [type(level) for level in loss.pyramid.levels] == [ReleasedDown, ReleasedDown]
    assert [type(level) for level in tiny_perceptual().pyramid.levels] == [AntiAliasDown, AntiAliasDown]
    fake, real = torch.rand(2, 1, 3, 32, 32)
    each = torch.stack([distance for level in loss.distances(fake, real) for distance in level])
    torch.testing.assert_close(loss(fake, real), each.sum())


def test_the_released_photometric_error_is_ours_with_another_alpha():
    first, second = torch.rand(2, 1, 3, 16, 16)
    released = 0.85 * (1 - ssim_map(first, second)) / 2 + 0.15 * (first - second).abs()
    ours = 0.575 * photometric_error(first, second, alpha=0.425 / 0.575)
    torch.testing.assert_close(released.mean(1, keepdim=True), ours)
    assert signature(photometric_error).parameters["alpha"].default == 0.8


def test_the_released_range_of_depth_is_a_value_and_ours_spreads_a_head_over_more_of_the_sigmoid():
    disparity = torch.linspace(0, 1, 5).reshape(1, 1, 1, 5)
    released = depth_from_disparity(disparity, min_depth=0.1, max_depth=100.0)
    torch.testing.assert_close(released, 1 / (1 / 100 + (1 / 0.1 - 1 / 100) * disparity))

    def span(depth):  # of inverse depth: what a head takes of it is its share of the sigmoid
        return (1 / depth).max() - (1 / depth).min()

    assert span(depth_from_disparity(disparity)) < 0.2 * span(released)
