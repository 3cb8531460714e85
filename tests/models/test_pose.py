"""F_p: Eq. 2."""

import torch

from dagan.models.pose import PoseConfig

TINY = PoseConfig(base_width=8, head_width=16)


def test_it_starts_at_the_portrait_camera_with_little_motion() -> None:
    pose = TINY.build()(torch.rand(2, 3, 64, 96), torch.rand(2, 3, 64, 96))
    expected = torch.tensor([[192.0, 0.0, 48.0], [0.0, 128.0, 32.0], [0.0, 0.0, 1.0]])
    assert torch.allclose(pose.intrinsics, expected.expand(2, 3, 3))
    assert torch.allclose(pose.rotation, torch.eye(3).expand(2, 3, 3), atol=0.1)
    assert pose.translation.abs().max() < 0.1


def test_the_rotation_is_one() -> None:
    rotation = TINY.build()(torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)).rotation
    assert torch.allclose(rotation @ rotation.mT, torch.eye(3).expand(2, 3, 3), atol=1e-6)
    assert torch.allclose(torch.linalg.det(rotation), torch.ones(2))


def test_the_pivot_stays_where_it_is_when_only_the_rotation_acts() -> None:
    network = TINY.build()
    rotation, translation = network._motion_about_pivot(torch.tensor([[0.2, -0.1, 0.3, 0.0, 0.0, 0.0]]))
    pivot = torch.tensor([0.0, 0.0, TINY.pivot_depth])
    assert torch.allclose(rotation[0] @ pivot + translation[0], pivot, atol=1e-6)


def test_gradients_reach_every_parameter_from_intrinsics_and_motion_alike() -> None:
    network = TINY.build()
    torch.nn.init.normal_(network.intrinsics.weight, std=0.01)
    frame, neighbour = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    pose = network(frame, neighbour)
    (pose.intrinsics.square().sum() + pose.rotation[:, 0].sum() + pose.translation.sum()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_the_camera_learns_from_its_first_step_and_can_move_both_ways() -> None:
    """The release truncated the matrix to whole pixels: no gradient; and its centre could only move right and down."""
    for target in (-1.0, 1.0):
        network = TINY.build()
        optimizer = torch.optim.Adam(network.intrinsics.parameters(), 0.05)
        frame, neighbour = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
        for _ in range(3):
            camera = network(frame, neighbour).intrinsics
            optimizer.zero_grad()
            (-target * camera[:, :2].sum()).backward()
            optimizer.step()
        change = (
            network(frame, neighbour).intrinsics - torch.tensor([[128.0, 0, 32], [0, 128, 32], [0, 0, 1]])
        ) * target
        assert (change[:, [0, 1, 0, 1], [0, 1, 2, 2]] > 0.1).all()


def test_focal_length_and_centre_stay_bounded() -> None:
    matrix = TINY.build()._intrinsic_matrix(torch.tensor([[1e3, -1e3, 1e3, -1e3]]), 100, 100)
    assert torch.allclose(matrix[0, [0, 1], [0, 1]], 200 * torch.tensor([0.7, -0.7]).exp())
    assert torch.allclose(matrix[0, :2, 2], torch.tensor([70.0, 30.0]))


def test_under_autocast_the_pose_is_float32() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pose = TINY.build()(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64))
    assert {part.dtype for part in pose} == {torch.float32}


def test_a_working_size_changes_what_is_seen_and_not_the_unit_of_the_intrinsics() -> None:
    network = PoseConfig(base_width=8, head_width=16, working_size=32).build().eval()
    assert network(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)).intrinsics[0, 0, 0] == 128
