"""From two keypoint sets to the dense motion, its mask and the occlusion."""

from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import Tensor

from dagan.face import NUM_LANDMARKS
from dagan.geometry.grid import coordinate_grid
from dagan.geometry.keypoints import gaussians
from dagan.models.dense_motion import PRIOR_BACKGROUND, PRIOR_PIECE, VARIANCE, MotionConfig, inside, sparse_motions
from dagan.nn.blocks import FixedSize
from dagan.transfer.face_flow import whole_face
from dagan.types import Keypoints
from parts import identity_flow, random_keypoints

TINY = MotionConfig(width=4, cap=8, num_blocks=2, kernel=3)


@pytest.mark.parametrize("local_motion", ["offset", "affine"])
@pytest.mark.parametrize("size", [(32, 32), (96, 96), (64, 32)])
def test_the_mask_sums_to_1_and_the_occlusion_is_between_0_and_1(
    local_motion: Literal["offset", "affine"], size: tuple[int, int]
) -> None:
    network = replace(TINY, local_motion=local_motion).build(5).eval()
    keypoints = random_keypoints(3, with_jacobian=True), random_keypoints(3, with_jacobian=True)
    flow, mask, occlusion, _ = network(torch.rand(3, 3, *size), *keypoints)
    height, width = size[0] // 4, size[1] // 4
    assert flow.shape == (3, height, width, 2)
    assert mask.shape == (3, 6, height, width)
    assert occlusion.shape == (3, 1, height, width)
    assert torch.allclose(mask.sum(1), torch.ones(3, height, width), atol=1e-6)
    assert mask.min() >= 0
    assert 0 < occlusion.min() < occlusion.max() < 1


@pytest.mark.parametrize("local_motion", ["offset", "affine"])
def test_equal_keypoints_give_identity_flow_whatever_the_mask(local_motion: Literal["offset", "affine"]) -> None:
    network = replace(TINY, local_motion=local_motion).build(5).eval()
    keypoints = random_keypoints(with_jacobian=True)
    flow = network(torch.rand(2, 3, 64, 64), keypoints, keypoints).flow
    assert torch.allclose(flow, identity_flow(2, 16, 16), atol=1e-6)


def test_a_common_shift_moves_what_is_not_background_by_it() -> None:
    network, source, v = TINY.build(5).eval(), random_keypoints(), torch.tensor([0.2, -0.1])
    driving = source._replace(position=source.position - v)
    flow, mask, *_ = network(torch.rand(2, 3, 64, 64), source, driving)
    moved = (1 - mask[:, 0, :, :, None]) * v
    assert torch.allclose(flow, identity_flow(2, 16, 16) + moved, atol=1e-5)


def test_the_first_motion_is_the_backgrounds_and_does_not_move() -> None:
    flows = sparse_motions(
        [lambda s, d, grid: (grid + 0.5).expand(2, 3, -1, -1, -1)], *[random_keypoints()] * 2, torch.rand(2, 3, 4, 4)
    )
    assert flows.shape == (2, 4, 4, 4, 2)
    assert torch.equal(flows[:, 0], identity_flow(2, 4, 4))
    assert torch.equal(flows[:, 1], identity_flow(2, 4, 4) + 0.5)


def test_the_estimator_sees_for_each_motion_a_heatmap_difference_and_the_image_moved_by_it() -> None:
    network, image, seen = replace(TINY, resize=FixedSize(side=16)).build(5).eval(), torch.rand(2, 3, 16, 16), []
    network.hourglass.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    source, driving = random_keypoints(), random_keypoints()
    network(image, source, driving)
    slots: Tensor = seen[0].view(2, 6, 4, 16, 16)
    assert slots[:, 0, 0].abs().max() == 0
    assert torch.equal(slots[:, 0, 1:], image)
    expected = gaussians(driving.position, (16, 16), VARIANCE) - gaussians(source.position, (16, 16), VARIANCE)
    assert torch.allclose(slots[:, 1:, 0], expected)
    assert not torch.allclose(slots[:, 1, 1:], image, atol=1e-2)


def test_what_comes_from_outside_the_photo_is_occluded_where_the_model_says_so() -> None:
    network, v = TINY.build(5).eval(), torch.tensor([1.5, 0.0])
    torch.nn.init.constant_(network.mask.bias[:1], -1e3)  # nothing is background
    source = random_keypoints()
    driving = source._replace(position=source.position - v)
    as_ever = network(torch.rand(2, 3, 64, 64), source, driving)
    network.shown = inside
    flow, _, occlusion, _ = network(torch.rand(2, 3, 64, 64), source, driving)
    outside = flow[..., 0] > 1 + 2 / 16
    assert outside.any()
    assert not outside.all()
    assert not occlusion[:, 0][outside].any()
    within = (flow.abs() <= 1).all(-1)
    assert bool((occlusion[:, 0][within] > 0).all())
    assert bool((as_ever.occlusion > 0).all())


def test_an_edge_of_the_photo_is_soft_by_one_pixel() -> None:
    at = torch.tensor([0.0, 1.0, 1.0 + 0.5 * 2 / 8, 1.0 + 2 / 8, 5.0, float("inf")])
    flow = torch.stack([-at, torch.zeros_like(at)], -1).expand(1, 8, 6, 2)
    assert torch.allclose(inside(flow)[0, 0, 0], torch.tensor([1.0, 1.0, 0.5, 0.0, 0.0, 0.0]))


def test_flow_is_float32_under_autocast_and_exact_at_rest() -> None:
    network, keypoints = TINY.build(5).eval(), random_keypoints()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        motion = network(torch.rand(2, 3, 64, 64), keypoints, keypoints)
    assert {value.dtype for value in motion} == {torch.float32}
    assert torch.allclose(motion.flow, identity_flow(2, 16, 16), atol=1e-6)


def test_gradients_reach_every_parameter_and_both_keypoint_sets() -> None:
    network = replace(TINY, local_motion="affine").build(5)
    source, driving = random_keypoints(with_jacobian=True), random_keypoints(with_jacobian=True)
    leaves = [value.requires_grad_() for value in (*source, *driving) if value is not None]
    motion = network(torch.rand(2, 3, 64, 64), source, driving)
    torch.stack([(value * torch.randn_like(value)).sum() for value in motion]).sum().backward()
    assert all(leaf.grad is not None and leaf.grad.abs().sum() > 0 for leaf in leaves)
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


WHOLE, NUM_KEYPOINTS = replace(TINY, has_mask_prior=True), NUM_LANDMARKS + 2


def test_the_whole_faces_motion_is_one_more_in_the_mask_after_all_keypoints() -> None:
    network, seen = replace(WHOLE, resize=FixedSize(side=16)).build(NUM_KEYPOINTS, (whole_face,)).eval(), []
    network.hourglass.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    source, driving = (random_keypoints(2, NUM_KEYPOINTS) for _ in range(2))
    flow, mask, *_ = network(torch.rand(2, 3, 16, 16), source, driving)
    assert mask.shape == (2, NUM_KEYPOINTS + 2, 16, 16)
    assert torch.allclose(mask.sum(1), torch.ones(2, 16, 16), atol=1e-6)
    heatmap = seen[0].view(2, NUM_KEYPOINTS + 2, 4, 16, 16)[:, -1, 0]
    assert heatmap.abs().max() == 0
    with torch.no_grad():
        network.mask.bias[-1] += 1000  # everything is the face's
    moved = network(torch.rand(2, 3, 16, 16), source, driving).flow
    expected = whole_face(source, driving, coordinate_grid(16, 16, moved))[:, 0]
    assert torch.allclose(moved, expected, atol=1e-6)
    assert not torch.allclose(flow, expected, atol=1e-2)


def test_keypoints_that_are_not_the_faces_do_not_move_the_whole_face() -> None:
    source, driving = (random_keypoints(2, NUM_KEYPOINTS) for _ in range(2))
    elsewhere = torch.cat([driving.position[:, :NUM_LANDMARKS], torch.rand(2, 2, 2)], 1)
    grid = coordinate_grid(8, 8, elsewhere)
    assert torch.equal(whole_face(source, driving, grid), whole_face(source, Keypoints(elsewhere), grid))


def test_the_whole_faces_motion_starts_far_below_the_background() -> None:
    network, far = WHOLE.build(NUM_KEYPOINTS, (whole_face,)).eval(), Keypoints(torch.full((1, NUM_KEYPOINTS, 2), -9.0))
    torch.nn.init.zeros_(network.mask.weight)
    torch.nn.init.zeros_(network.mask.bias)
    mask = network(torch.rand(1, 3, 32, 32), far, far).mask
    expected = torch.full((1, 8, 8), PRIOR_PIECE - PRIOR_BACKGROUND)
    assert torch.allclose(mask[:, -1].log() - mask[:, 0].log(), expected, atol=1e-5)


def test_gradients_reach_the_whole_faces_channels_in_both_ends_and_its_bias() -> None:
    network = WHOLE.build(NUM_KEYPOINTS, (whole_face,))
    source, driving = (random_keypoints(2, NUM_KEYPOINTS) for _ in range(2))
    motion = network(torch.rand(2, 3, 64, 64), source, driving)
    (motion.flow * torch.randn_like(motion.flow)).sum().backward()
    first, (bias,) = network.hourglass.down[0].conv.weight.grad, network.mask_prior.pieces
    for gradient in (first[:, -3:], network.mask.weight.grad[-1], network.mask.bias.grad[-1], bias.grad):
        assert gradient.abs().sum() > 0


def test_equal_keypoints_give_identity_flow_with_the_whole_face_too() -> None:
    keypoints = random_keypoints(2, NUM_KEYPOINTS)
    flow = WHOLE.build(NUM_KEYPOINTS, (whole_face,)).eval()(torch.rand(2, 3, 64, 64), keypoints, keypoints).flow
    assert torch.allclose(flow, identity_flow(2, 16, 16), atol=1e-6)


def test_without_the_whole_face_a_network_has_the_tensors_that_it_always_had() -> None:
    names = set(replace(TINY, has_mask_prior=True).build(5).state_dict())
    assert set(WHOLE.build(NUM_KEYPOINTS, (whole_face,)).state_dict()) - names == {"mask_prior.pieces.0"}
