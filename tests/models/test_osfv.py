"""OSFV's own facts: rotations, codes, free view, priors, and where FDN and CAM fit."""

import math
from dataclasses import replace

import pytest
import torch

from dagan.errors import UserError
from dagan.face import MEAN_FACE
from dagan.geometry.volume import volume_grid, warp_volume
from dagan.models.families.osfv import expression_size, head_pose_distance, keypoint_depth, keypoint_spread
from dagan.models.families.osfv_pose import NUM_BINS, ROTATIONS, HeadCode, Reading, compose
from dagan.models.family import HeadTurn
from dagan.presets import with_cam, with_fdn
from families import NARROW_DEPTH, TINY

DEGREES = torch.tensor([[20.0, -10.0, 5.0], [-60.0, 30.0, -40.0]])  # yaw, pitch, roll


def code(degrees: torch.Tensor, name: str = "ours") -> HeadCode:
    return HeadCode(ROTATIONS[name].matrix(degrees), torch.randn(2, 3) / 9, torch.randn(2, 4, 3) / 9)


@pytest.mark.parametrize("name", ROTATIONS)
def test_angles_are_found_again_in_their_rotation(name):
    rotation = ROTATIONS[name].matrix(DEGREES)
    torch.testing.assert_close(rotation @ rotation.mT, torch.eye(3).expand(2, 3, 3), rtol=0, atol=1e-5)
    torch.testing.assert_close(ROTATIONS[name].degrees(rotation), DEGREES, rtol=0, atol=1e-3)


def test_a_rotation_turns_about_pitch_last_and_the_first_published_about_roll_last():
    a, b, c = (math.radians(angle) for angle in DEGREES[0].tolist())

    def about(axis: int, angle: float) -> torch.Tensor:
        turn = torch.eye(3, dtype=torch.float64)
        i, j = [(1, 2), (2, 0), (0, 1)][axis]
        turn[i, i] = turn[j, j] = math.cos(angle)
        turn[i, j], turn[j, i] = -math.sin(angle), math.sin(angle)
        return turn

    expected = about(0, b) @ about(1, a) @ about(2, c)
    torch.testing.assert_close(ROTATIONS["ours"].matrix(DEGREES[:1])[0], expected.float())
    old = about(0, c) @ about(1, b) @ about(2, a)
    torch.testing.assert_close(ROTATIONS["beta"].matrix(DEGREES[:1])[0], old.float(), rtol=0, atol=1e-3)


def test_bins_give_the_expected_degrees():
    bins = torch.full((1, 3, NUM_BINS), -1e4)
    bins[0, 0, 0] = bins[0, 1, 33] = bins[0, 2, 65] = 0
    assert Reading(bins, torch.zeros(1, 3), torch.zeros(1, 4, 3)).degrees.tolist() == [[-99, 0, 96]]


def test_points_are_turned_then_moved_then_expressed():
    points, driving = torch.randn(2, 4, 3), code(DEGREES)
    expected = torch.stack([points[i] @ driving.rotation[i].T for i in range(2)])
    expected = expected + driving.translation[:, None] + driving.expression
    torch.testing.assert_close(compose(points, driving), expected)


def test_relative_motion_turns_the_source_as_the_driver_turned():
    model = TINY["osfv"].build()
    source, initial = code(DEGREES), code(DEGREES.flip(0))
    turn = ROTATIONS["ours"].matrix(torch.tensor([[0.0, 15.0, 0.0]] * 2))
    driving = HeadCode(turn @ initial.rotation, initial.translation + 0.1, initial.expression - 0.2)
    moved = model.mover(source, initial)(driving)
    torch.testing.assert_close(moved.rotation, turn @ source.rotation, rtol=0, atol=1e-5)
    torch.testing.assert_close(moved.translation, source.translation + 0.1)
    torch.testing.assert_close(moved.expression, source.expression - 0.2)
    with pytest.raises(UserError, match="no scale to adapt"):
        model.mover(source, initial, adapt_scale=True)


@pytest.mark.parametrize("name", ROTATIONS)
def test_free_view_adds_to_an_angle_or_sets_it_and_leaves_the_others(name):
    model = replace(TINY["osfv"], rotation=name).build()
    driving = code(DEGREES, name)
    added = model.turned(driving, HeadTurn(added={"yaw": 10.0}))
    expected = DEGREES + torch.tensor([10.0, 0, 0])
    torch.testing.assert_close(ROTATIONS[name].degrees(added.rotation), expected, rtol=0, atol=1e-3)
    fixed = model.turned(driving, HeadTurn(fixed={"yaw": 20.0, "roll": 0.0}))
    expected = torch.stack([torch.full((2,), 20.0), DEGREES[:, 1], torch.zeros(2)], 1)
    torch.testing.assert_close(ROTATIONS[name].degrees(fixed.rotation), expected, rtol=0, atol=1e-3)
    assert fixed.expression is driving.expression
    with pytest.raises(UserError, match="no angle 'tilt'"):
        model.turned(driving, HeadTurn(added={"tilt": 1.0}))


def test_the_identity_returns_a_volume_and_a_shift_moves_it():
    volume = torch.rand(1, 2, 4, 6, 6)
    grid = volume_grid((4, 6, 6), volume)[None]
    torch.testing.assert_close(warp_volume(volume, grid), volume)
    deeper = grid + torch.tensor([0.0, 0.0, 2 / 4])  # one slice into the picture
    torch.testing.assert_close(warp_volume(volume, deeper)[:, :, :-1], volume[:, :, 1:])


def test_priors_are_zero_where_they_should_be_and_push_the_right_way():
    apart = torch.tensor([[[-1.0, 0, 0.33], [1, 0, 0.33], [0, 1, 0.33]]])
    assert keypoint_spread(apart) == 0
    assert keypoint_depth(apart) == pytest.approx(0, abs=1e-6)
    near = torch.tensor([[[0.0, 0, 0], [0.1, 0, 0]]], requires_grad=True)
    loss = keypoint_spread(near)
    assert loss.item() == pytest.approx(2 * (0.1 - 0.01))  # both orders of the pair
    loss.backward()
    assert near.grad[0, 0, 0] > 0 > near.grad[0, 1, 0]  # a step against the gradient parts them
    assert expression_size(torch.full((2, 3, 3), -0.5)) == pytest.approx(4.5)


def test_the_head_pose_is_that_of_the_landmarks():
    face = torch.tensor(MEAN_FACE)
    rotation = ROTATIONS["ours"].matrix(torch.tensor([[20.0, 10.0, 5.0]]))
    seen = 0.3 * (face @ rotation[0].T)[None, :, :2]
    found = torch.tensor([True])
    assert head_pose_distance(rotation, seen, found) < 0.5
    turned = ROTATIONS["ours"].matrix(torch.tensor([[30.0, 10.0, 5.0]]))
    assert head_pose_distance(turned, seen, found) == pytest.approx(10, abs=0.6)
    assert head_pose_distance(turned, seen, ~found) == 0


def test_depth_guides_keypoints_and_attends_to_the_projection():
    config = with_cam(with_fdn(TINY["osfv"], NARROW_DEPTH))
    assert config == with_fdn(with_cam(TINY["osfv"], NARROW_DEPTH))
    model = config.build().eval()
    with torch.inference_mode():
        source = model.encode(model.view(torch.rand(1, 3, 64, 64)))
        assert source.appearance.depth_features.shape == (1, 32, 16, 16)
        assert model.render(source, source.code).generated.shape == (1, 3, 64, 64)
    assert model.given() == [model.depth]
    with pytest.raises(ValueError, match="set depth"):
        replace(config, depth=None)


def test_coordinates_mean_one_thing_in_a_model():
    config = TINY["osfv"]
    with pytest.raises(ValueError, match="same voxels"):
        replace(config, motion=replace(config.motion, voxels="mixed"))
