"""Keypoints on a registered torso."""

import torch

from dagan.geometry.registration import on_torso
from dagan.types import Keypoints

MOTION = torch.tensor([[[1.1, 0.05, 0.1], [-0.05, 0.95, -0.04]]])
STILL = torch.eye(2, 3)[None]


def keypoints(seed: int) -> Keypoints:
    numbers = torch.Generator().manual_seed(seed)
    frames = torch.eye(2) + 0.1 * torch.randn(1, 5, 2, 2, generator=numbers)
    return Keypoints(torch.rand(1, 5, 2, generator=numbers) - 0.5, frames)


def test_local_motion_of_the_placed_keypoints_is_the_torsos() -> None:
    source, driving = keypoints(1), keypoints(2)

    placed = on_torso(source, driving, MOTION, 3)

    linear, shift = MOTION[:, :, :2], MOTION[:, None, :, 2]
    assert torch.allclose(placed.position[:, 3:] @ linear.mT + shift, source.position[:, 3:], atol=1e-5)
    assert placed.jacobian is not None
    assert source.jacobian is not None
    back = source.jacobian[:, 3:] @ torch.linalg.inv(placed.jacobian[:, 3:])
    assert torch.allclose(back, linear[:, None].expand_as(back), atol=1e-5)


def test_the_faces_keypoints_stay_as_they_were_found() -> None:
    source, driving = keypoints(1), keypoints(2)

    placed = on_torso(source, driving, MOTION, 3)

    assert placed.jacobian is not None
    assert driving.jacobian is not None
    assert torch.equal(placed.position[:, :3], driving.position[:, :3])
    assert torch.equal(placed.jacobian[:, :3], driving.jacobian[:, :3])


def test_where_nothing_was_registered_all_stay_pair_by_pair() -> None:
    source, driving = (keypoints(seed).each(lambda part: torch.cat([part, part])) for seed in (1, 2))

    placed = on_torso(source, driving, torch.cat([STILL, MOTION]), 3)

    assert torch.equal(placed.position[0], driving.position[0])
    assert not torch.equal(placed.position[1], driving.position[1])
    assert placed.jacobian is not None
    assert driving.jacobian is not None
    assert torch.equal(placed.jacobian[0], driving.jacobian[0])


def test_keypoints_without_local_frames_are_placed_too() -> None:
    source, driving = (Keypoints(keypoints(seed).position) for seed in (1, 2))

    placed = on_torso(source, driving, MOTION, 3)

    assert placed.jacobian is None
    assert not torch.equal(placed.position, driving.position)
