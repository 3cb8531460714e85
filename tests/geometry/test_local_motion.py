"""Offset (Eq. 7) and affine (FOMM) motion near keypoints."""

import numpy as np
import pytest
import torch

import references
from dagan.geometry.grid import coordinate_grid
from dagan.geometry.local_motion import LOCAL_MOTIONS, affine, offset
from dagan.types import Keypoints
from parts import identity_flow, random_keypoints

GRID = coordinate_grid(6, 8, torch.zeros(()))


@pytest.mark.parametrize("name", LOCAL_MOTIONS)
def test_equal_keypoints_give_identity_flow(name: str) -> None:
    keypoints = random_keypoints(with_jacobian=True)
    flows = LOCAL_MOTIONS[name](keypoints, keypoints, GRID)
    assert torch.allclose(flows, identity_flow(2, 6, 8)[:, None].expand(2, 5, 6, 8, 2), atol=1e-6)


@pytest.mark.parametrize("name", LOCAL_MOTIONS)
def test_shifting_every_keypoint_of_the_source_by_v_shifts_the_flow_by_v(name: str) -> None:
    source, driving = random_keypoints(with_jacobian=True), random_keypoints(with_jacobian=True)
    v = torch.tensor([0.3, -0.2])
    shifted = LOCAL_MOTIONS[name](source._replace(position=source.position + v), driving, GRID)
    assert torch.allclose(shifted, LOCAL_MOTIONS[name](source, driving, GRID) + v, atol=1e-5)


@pytest.mark.parametrize("name", LOCAL_MOTIONS)
def test_the_driving_keypoint_comes_from_the_source_keypoint(name: str) -> None:
    source, driving = random_keypoints(1, 1, with_jacobian=True), random_keypoints(1, 1, with_jacobian=True)
    at_keypoint = LOCAL_MOTIONS[name](source, driving, driving.position.view(1, 1, 2))
    assert torch.allclose(at_keypoint.flatten(), source.position.flatten(), atol=1e-6)


def test_offset_motion_equals_the_loops() -> None:
    source, driving = random_keypoints(1), random_keypoints(1)
    expected = references.offset_motion(source.position[0].numpy(), driving.position[0].numpy(), 6, 8)
    assert np.allclose(offset(source, driving, GRID)[0].numpy(), expected, atol=1e-6)


def test_affine_motion_equals_the_loops() -> None:
    source, driving = random_keypoints(1, with_jacobian=True), random_keypoints(1, with_jacobian=True)
    assert source.jacobian is not None
    assert driving.jacobian is not None
    parts = (value[0].double().numpy() for value in (*source[:2], *driving[:2]))
    expected = references.affine_motion(*parts, height=6, width=8)
    assert np.allclose(affine(source, driving, GRID)[0].numpy(), expected, atol=1e-5)


def test_with_equal_frames_affine_motion_is_offset_motion() -> None:
    source, driving = random_keypoints(with_jacobian=True), random_keypoints()
    driving = Keypoints(driving.position, source.jacobian)
    assert torch.allclose(affine(source, driving, GRID), offset(source, driving, GRID), atol=1e-5)


def test_affine_motion_without_frames_says_what_is_missing() -> None:
    with pytest.raises(ValueError, match="has_jacobian=True"):
        affine(random_keypoints(with_jacobian=True), random_keypoints(), GRID)
