import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dagan.errors import UserError
from dagan.evaluation.metrics.pairwise import head_pose_error, landmark_distance
from dagan.observers import NUM_MESH_POINTS, HeadPose, MediaPipeFace, pose_from_matrix

NOSE_TIP, LEFT_OF_PICTURE, RIGHT_OF_PICTURE = 1, 234, 454  # of the face mesh: nose and the sides of the face


def turned(image: np.ndarray, clockwise: float, shift: tuple[float, float] = (0, 0)) -> np.ndarray:
    """The picture turned about its middle (degrees, as the viewer sees it), then moved by (x, y) pixels."""
    size = image.shape[0]
    cos, sin = math.cos(math.radians(clockwise)), math.sin(math.radians(clockwise))
    x, y = (2 * s / size for s in shift)
    back = torch.tensor([[[cos, sin, -cos * x - sin * y], [-sin, cos, sin * x - cos * y]]])
    pixels = torch.from_numpy(image.copy()).float().permute(2, 0, 1)[None]
    grid = F.affine_grid(back, [1, 3, size, size], align_corners=False)
    moved = F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    return moved[0].permute(1, 2, 0).round().byte().numpy()


def rotation(axis: int, degrees: float) -> np.ndarray:
    """Right-handed rotation about an axis of the camera (x right, y up, z towards the viewer)."""
    matrix, (first, second) = np.eye(4), [(1, 2), (2, 0), (0, 1)][axis]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    matrix[first, first], matrix[second, second], matrix[first, second], matrix[second, first] = cos, cos, -sin, sin
    return matrix


def test_a_face_has_landmarks_inside_the_picture_and_all_blendshapes(observer, portrait):
    face = observer.observe(portrait)
    assert face.landmarks.shape == (NUM_MESH_POINTS, 3)
    assert (face.landmarks[:, :2] > 0).all()
    assert (face.landmarks[:, :2] < portrait.shape[0]).all()
    assert face.blendshape("jawOpen") < 0.2
    assert face.landmarks[NOSE_TIP, 2] < face.landmarks[LEFT_OF_PICTURE, 2]  # the nose is nearer to the camera


@pytest.mark.parametrize("value", [0, 255])
def test_a_picture_of_one_colour_has_no_face(observer, value):
    assert observer.observe(np.full((256, 256, 3), value, np.uint8)) is None


def test_observations_do_not_depend_on_what_was_seen_before(observer, portrait):
    first = observer.observe(portrait)
    observer.observe(turned(portrait, 20, (10, 5)))
    again = observer.observe(portrait)
    assert np.array_equal(first.landmarks, again.landmarks)
    assert first.pose == again.pose


@pytest.mark.parametrize("degrees", [-20.0, -10.0, 10.0, 20.0])
def test_a_picture_turned_by_known_degrees_is_measured_as_roll_within_two(observer, portrait, degrees):
    before, after = observer.observe(portrait).pose, observer.observe(turned(portrait, degrees)).pose
    assert after.roll - before.roll == pytest.approx(degrees, abs=2)
    assert head_pose_error(after, before) == pytest.approx(abs(degrees) / math.sqrt(3), abs=2)


@pytest.mark.parametrize("shift", [(6.0, -4.0), (-12.0, 8.0)])
def test_a_picture_moved_by_known_pixels_is_measured_as_that_distance(observer, portrait, shift):
    before, after = observer.observe(portrait), observer.observe(turned(portrait, 0, shift))
    assert landmark_distance(after.landmarks, before.landmarks) == pytest.approx(math.hypot(*shift), abs=1)
    assert (after.landmarks - before.landmarks)[:, :2].mean(axis=0) == pytest.approx(shift, abs=1)


def test_a_mirrored_face_has_the_opposite_roll_and_the_same_pitch(observer, portrait):
    leaning = turned(portrait, 12)
    pose, mirrored = observer.observe(leaning).pose, observer.observe(np.ascontiguousarray(leaning[:, ::-1])).pose
    assert mirrored.roll == pytest.approx(-pose.roll, abs=2)
    assert mirrored.yaw == pytest.approx(-pose.yaw, abs=3)
    assert mirrored.pitch == pytest.approx(pose.pitch, abs=3)


@pytest.mark.parametrize(
    ("axis", "degrees", "expected"),
    [
        (0, -25.0, HeadPose(0, 25, 0)),  # about x by the right hand, +z turns towards -y: nose down; so minus is up
        (1, 25.0, HeadPose(25, 0, 0)),  # about y, +z turns towards +x: nose to the right edge
        (2, -25.0, HeadPose(0, 0, 25)),  # about z, counterclockwise; so minus is clockwise
    ],
)
def test_a_rotation_about_one_axis_is_that_angle_alone(axis, degrees, expected):
    assert pose_from_matrix(rotation(axis, degrees)) == pytest.approx(expected, abs=1e-4)


def test_pose_ignores_scale_and_place_and_separates_three_angles():
    matrix = rotation(1, 30) @ rotation(0, -20) @ rotation(2, -10)
    matrix[:3, :3] *= 7
    matrix[:3, 3] = (1, 2, -40)
    assert pose_from_matrix(matrix) == pytest.approx(HeadPose(30, 20, 10), abs=1e-4)


def test_missing_weights_are_the_users_to_know(tmp_path):
    with pytest.raises(UserError, match=r"not found.*absent\.task"):
        MediaPipeFace(tmp_path / "absent.task")


def test_the_observer_names_its_software_and_weights(observer):
    assert observer.version.software.startswith("mediapipe ")
    assert len(observer.version.weights_sha256) == 64


def test_starting_the_observer_prints_nothing(capfd):
    with MediaPipeFace():
        pass
    assert capfd.readouterr() == ("", "")
