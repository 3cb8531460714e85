"""Faces turned by known rotations, with known expressions, are transferred as they should be."""

import math

import pytest
import torch
from torch import Tensor

from dagan.face import BONE, LIDS, MEAN_FACE, MIRROR, NUM_LANDMARKS, RIGIDITY
from dagan.transfer.face_transfer import FaceMover, face_transfer
from dagan.transfer.head_pose import FacePose, face_shape, facing, fit_pose, turned_alike
from dagan.transfer.relative import mover
from dagan.types import Keypoints

FACE = torch.tensor(MEAN_FACE)[None]
LIP, CHIN, LID = 8, 1, 9


def rotation(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> Tensor:
    """About y, then x, then z, in degrees."""
    axes = torch.tensor([[pitch, 0.0, 0.0], [0.0, yaw, 0.0], [0.0, 0.0, roll]]) * (math.pi / 180)
    x, y, z = (torch.linalg.matrix_exp(cross(axis)) for axis in axes)
    return (z @ x @ y)[None]


def cross(axis: Tensor) -> Tensor:
    a, b, c = axis.tolist()
    return torch.tensor([[0.0, -c, b], [c, 0.0, -a], [-b, a, 0.0]])


def pose(yaw: float, pitch: float = 0.0, roll: float = 0.0, scale: float = 0.4, x: float = 0.0) -> FacePose:
    return FacePose(torch.tensor([scale]), rotation(yaw, pitch, roll), torch.tensor([[x, -0.1]]))


def moved_face(source: Tensor, driving: Tensor, rest: Tensor) -> Tensor:
    return FaceMover(source, rest)(driving).position


def test_the_mean_face_is_symmetric_and_in_the_landmarks_order() -> None:
    mirrored = torch.tensor(list(MIRROR))
    assert NUM_LANDMARKS == len(RIGIDITY) == NUM_LANDMARKS
    assert torch.allclose(FACE[0, mirrored] * torch.tensor([-1.0, 1.0, 1.0]), FACE[0], atol=0.02)
    assert FACE[0, 0, 2] == FACE[0, :, 2].min()  # the nose is nearest


@pytest.mark.parametrize("angles", [(0, 0, 0), (25, -10, 15), (-55, 10, -20), (60, 0, 0), (0, 30, 40)])
def test_a_turned_face_is_fitted(angles: tuple[float, float, float]) -> None:
    true = pose(*angles, scale=0.3, x=0.2)

    found = fit_pose(true.seen(FACE), FACE)

    assert torch.allclose(found.rotation, true.rotation, atol=0.01)
    assert torch.allclose(found.scale, true.scale, atol=0.003)
    assert torch.allclose(found.shift, true.shift, atol=0.003)


def test_from_a_rotation_nearby_the_same_pose_is_found() -> None:
    points = pose(50, 10, -20).seen(FACE)

    found, again = fit_pose(points, FACE), fit_pose(points, FACE, rotation(42, 5, -15))

    assert torch.allclose(again.rotation, found.rotation, atol=0.005)
    assert torch.allclose(face_shape(points, found.rotation).offset, face_shape(points).offset, atol=0.005)


@pytest.mark.parametrize("scale", [1e-6, 1e3])
def test_points_that_are_no_face_give_finite_poses(scale: float) -> None:
    points = scale * torch.randn(4, NUM_LANDMARKS, 2, generator=torch.Generator().manual_seed(0))

    assert all(bool(part.isfinite().all()) for part in fit_pose(points, FACE))


def test_a_face_looks_where_it_is_turned_and_one_that_is_unknown_nowhere() -> None:
    straight, aside = pose(0.0).seen(FACE), pose(30.0, scale=0.2, x=0.3).seen(FACE)
    found = facing(torch.cat([straight, aside, torch.full_like(straight, math.nan)]))
    assert torch.allclose(found[:2], torch.tensor([[0.0, 0.0], [-0.5, 0.0]]), atol=0.01)
    assert found[2].isnan().all()


def test_another_persons_turn_turns_the_source_by_as_much() -> None:
    wide = FACE * torch.tensor([1.15, 0.95, 1.0])
    source, rest, driving = pose(5, x=0.2).seen(wide), pose(-10).seen(FACE), pose(12).seen(FACE)

    moved = fit_pose(moved_face(source, driving, rest), wide)

    assert torch.allclose(moved.rotation, rotation(27), atol=0.03)
    assert torch.allclose(moved.shift, torch.tensor([[0.2, -0.1]]), atol=0.02)


ANGLES = torch.tensor([[0.0, 0, 0], [30, -20, 40], [-50, 10, -25], [5, 35, 170]])  # yaw, pitch, roll in degrees


def rotations(angles: Tensor) -> Tensor:
    """R_y R_x R_z."""
    turns = [rotation(yaw) @ rotation(0, pitch) @ rotation(0, 0, roll) for yaw, pitch, roll in angles.tolist()]
    return torch.cat(turns)


def test_each_angle_changes_by_as_much_as_the_drivers() -> None:
    source, rest, driver = ANGLES, ANGLES[1:2], ANGLES.roll(1, 0) / 2

    turned = turned_alike(rotations(source), rotations(rest), rotations(driver))

    assert torch.allclose(turned, rotations(source + driver - rest), atol=1e-4)


def test_a_leaning_head_turns_about_its_own_neck() -> None:
    """A driver who leans looks aside; a source that is upright does not lean, and looks aside as far."""
    leaning = [rotations(torch.tensor([[yaw, 0.0, 30.0]])) for yaw in (0, 25)]
    rest, driving = (FacePose(torch.tensor([0.4]), turn, torch.zeros(1, 2)).seen(FACE) for turn in leaning)

    moved = fit_pose(moved_face(pose(0).seen(FACE), driving, rest), FACE)

    assert torch.allclose(moved.rotation, rotation(25), atol=0.02)


def test_local_frames_turn_as_the_face_does() -> None:
    """The change of frames that a turn makes of the driver is what it makes of a source that is turned otherwise."""
    source, rest, driving = pose(-15), pose(10, roll=20), pose(30, roll=20)
    frames = [pose.rotation[:, :2, :2] for pose in (source, rest, driving)]
    ours, theirs, now = (
        Keypoints(pose.seen(FACE), frame[:, None].expand(1, NUM_LANDMARKS, 2, 2))
        for pose, frame in zip((source, rest, driving), frames, strict=True)
    )

    moved = face_transfer(ours, theirs)(now)

    wanted = fit_pose(moved.position, FACE).rotation[:, :2, :2]
    assert moved.jacobian is not None
    assert torch.allclose(moved.jacobian, wanted[:, None].expand(1, NUM_LANDMARKS, 2, 2), atol=0.02)


def test_a_nod_is_no_blink() -> None:
    """The lids of a source that looks straight on stay as open as its own face turned would have them."""
    source, rest, driving = pose(0).seen(FACE), pose(0, -15).seen(FACE), pose(0, 15).seen(FACE)

    moved = moved_face(source, driving, rest)

    wanted = pose(0, 30).seen(FACE)
    assert torch.allclose(moved, wanted, atol=0.01)
    plain = source + driving - rest
    assert float((plain - wanted).abs().max()) > 0.05  # what the plain transfer makes of it


def test_an_expression_moves_along_in_the_sources_own_frame_and_size() -> None:
    """A jaw that drops while the driver looks aside drops straight down in a source of half the size."""
    aside, open_mouth = pose(30), FACE.clone()
    open_mouth[0, LIP, 1] += 0.2
    open_mouth[0, CHIN, 1] += 0.2
    source = pose(0, scale=0.2).seen(FACE)

    moved = moved_face(source, aside.seen(open_mouth), aside.seen(FACE))

    dropped = (moved - source)[0]
    assert float(dropped[LIP, 1]) == pytest.approx(0.2 * 0.2, rel=0.2)
    assert abs(float(dropped[LIP, 0])) < 0.01
    assert float(dropped[list(BONE)].abs().max()) < 0.01


def test_lids_meet_about_their_middle() -> None:
    shut = FACE.clone()
    for upper, lower in LIDS:
        shut[0, upper, 1] = shut[0, lower, 1]
    source = pose(0).seen(FACE)

    moved = moved_face(source, pose(0).seen(shut), pose(0).seen(FACE))

    before, after = (seen[0, 10, 1] - seen[0, LID, 1] for seen in (source, moved))
    assert float(after) < 0.2 * float(before)


def test_a_mouth_closes_no_further_than_shut() -> None:
    wide = FACE.clone()
    wide[0, [CHIN, LIP], 1] += 0.3
    source = pose(10).seen(FACE)

    moved = moved_face(source, pose(0).seen(FACE), pose(0).seen(wide))

    assert float(moved[0, LIP, 1]) == pytest.approx(float(moved[0, LIP - 1, 1]), abs=0.01)
    assert float(moved[0, CHIN, 1]) < float(source[0, CHIN, 1])


def test_a_shut_mouth_opens() -> None:
    wide, shut = FACE.clone(), FACE.clone()
    wide[0, [CHIN, LIP], 1] += 0.3
    shut[0, LIP, 1] = shut[0, LIP - 1, 1] - 0.01

    moved = moved_face(pose(0).seen(shut), pose(0).seen(wide), pose(0).seen(FACE))

    assert float(moved[0, LIP, 1] - moved[0, LIP - 1, 1]) == pytest.approx(0.4 * 0.29, rel=0.15)


def test_a_shift_is_the_drivers_own_or_larger_by_the_scale() -> None:
    source, rest, driving = pose(0, scale=0.6).seen(FACE), pose(20).seen(FACE), pose(20, x=0.1).seen(FACE)

    for scale in (1.0, 1.5):
        moved = FaceMover(source, rest, torch.full((1, 1, 1), scale))(driving).position
        assert torch.allclose(moved - source, torch.tensor([0.1 * scale, 0.0]), atol=1e-4)


def test_who_does_nothing_moves_nothing() -> None:
    source, driver = pose(10).seen(FACE * torch.tensor([1.1, 1.0, 1.0])), pose(-20, 10).seen(FACE)

    assert torch.allclose(moved_face(source, driver, driver), source, atol=1e-5)


def keypoints(position: Tensor, extra: int = 2) -> Keypoints:
    numbers = torch.Generator().manual_seed(int(position.sum() * 1000))
    return Keypoints(
        torch.cat([position, torch.rand(1, extra, 2, generator=numbers)], 1),
        torch.eye(2) + 0.1 * torch.randn(1, NUM_LANDMARKS + extra, 2, 2, generator=numbers),
    )


def test_keypoints_beyond_the_face_are_transferred_as_ever() -> None:
    source, driving, rest = (keypoints(pose(yaw).seen(FACE)) for yaw in (0, 15, -5))

    moved, plain = mover(source, rest, way=face_transfer)(driving), mover(source, rest)(driving)

    assert torch.equal(moved.position[:, NUM_LANDMARKS:], plain.position[:, NUM_LANDMARKS:])
    assert moved.jacobian is not None
    assert plain.jacobian is not None
    assert torch.equal(moved.jacobian[:, NUM_LANDMARKS:], plain.jacobian[:, NUM_LANDMARKS:])


def test_absolute_motion_is_the_drivers_own() -> None:
    source, driving = keypoints(pose(0).seen(FACE)), keypoints(pose(15).seen(FACE))

    assert mover(source, source, relative=False, way=face_transfer)(driving) is driving


def test_of_another_persons_heads_the_one_is_nearest_that_holds_itself_alike() -> None:
    source = pose(20, 5).seen(FACE)
    others = FACE * torch.tensor([1.1, 0.95, 1.0])  # somebody else's face
    driving = torch.cat([pose(yaw, 5, scale=0.3, x=0.2).seen(others) for yaw in (-20, 0, 17, 40)])

    difference = face_transfer.difference(Keypoints(source), Keypoints(driving))

    assert difference.argmin() == 2
    assert (difference >= 0).all()


@pytest.mark.parametrize("point", [LIP, LID])
def test_of_heads_turned_alike_the_one_is_nearest_that_opens_mouth_and_eyes_alike(point: int) -> None:
    moved = FACE.repeat(3, 1, 1)
    moved[:, point, 1] += torch.tensor([0.3, 0.1, 0.0])
    source = FACE.clone()
    source[:, point, 1] += 0.12

    difference = face_transfer.difference(Keypoints(pose(10).seen(source)), Keypoints(pose(10).seen(moved)))

    assert difference.argmin() == 1


@pytest.mark.parametrize("growth", [0.8, 1.25])
def test_a_source_grows_as_its_driver_does_by_coming_nearer(growth: float) -> None:
    source, rest = pose(10, scale=0.5).seen(FACE), pose(-5, scale=0.3).seen(FACE)

    near = moved_face(source, pose(-5, scale=0.3 * growth).seen(FACE), rest)

    centre = fit_pose(source, FACE).shift
    assert torch.allclose(near - centre, growth * (source - centre), atol=0.01)
