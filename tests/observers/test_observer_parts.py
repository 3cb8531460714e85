"""Landmark subsets, axes pose, action units and identity alignment, on the bundled portrait and changed copies."""

import math

import numpy as np
import pytest

from changed_photo import close_eyes, open_mouth, turn_head
from dagan.evaluation.metrics.pairwise import csim, head_pose_error
from dagan.face import BLENDSHAPE_NAMES
from dagan.observers import HeadPose, ObserverVersion
from dagan.observers.blendshape_units import BLINK, JAW_DROP, SMILE, UNIT_RULES, BlendshapeUnits
from dagan.observers.mesh import MESH_68, MIRROR_68, AxesPose, FittedPose, MeshLandmarks, RememberingFace
from dagan.observers.sface import TEMPLATE, align, five_points, similarity

TURNS = [HeadPose(yaw, 0.0, 0.0) for yaw in (-25.0, -15.0, 15.0, 25.0)]
TURNS += [HeadPose(0.0, pitch, 0.0) for pitch in (-20.0, -10.0, 10.0, 20.0)]
TURNS += [HeadPose(0.0, 0.0, -20.0), HeadPose(15.0, 10.0, -10.0)]


@pytest.fixture(scope="session")
def mesh(observer, portrait):
    return observer.observe(portrait).landmarks


@pytest.mark.parametrize("turn", TURNS, ids=lambda turn: "_".join(f"{angle:g}" for angle in turn))
def test_a_head_turned_by_known_degrees_is_measured_within_four(turn, observer, portrait, mesh):
    turned = turn_head(portrait, mesh, *turn)
    for pose in (FittedPose(observer), AxesPose(observer)):
        change = [a - b for a, b in zip(pose.head_pose(turned), pose.head_pose(portrait), strict=True)]
        assert head_pose_error(change, turn) < 4


def test_a_head_that_is_not_turned_is_the_same_picture(portrait, mesh):
    assert np.abs(turn_head(portrait, mesh).astype(int) - portrait).max() <= 1


def test_the_smile_of_the_portrait_is_present_and_an_opened_jaw_is_not(observer, portrait):
    units = BlendshapeUnits(observer)
    present = dict(zip(units.names, units.action_units(portrait) > units.thresholds, strict=True))
    assert present[SMILE]
    assert not present[JAW_DROP]


def test_an_opened_mouth_raises_the_jaw_drop_and_not_the_blink(observer, portrait, mesh):
    units = BlendshapeUnits(observer)
    before, after = units.action_units(portrait), units.action_units(open_mouth(portrait, mesh, 22.0))
    jaw, blink = units.names.index(JAW_DROP), units.names.index(BLINK)
    assert before[jaw] < units.thresholds[jaw] < after[jaw]
    assert after[blink] - before[blink] < 0.1


def test_closed_eyes_raise_the_blink_and_not_the_jaw_drop(observer, portrait, mesh):
    units = BlendshapeUnits(observer)
    before, after = units.action_units(portrait), units.action_units(close_eyes(portrait, mesh))
    jaw, blink = units.names.index(JAW_DROP), units.names.index(BLINK)
    assert before[blink] < units.thresholds[blink] < after[blink]
    assert after[jaw] - before[jaw] < 0.1


def test_unit_rules_name_blendshapes_that_exist_and_no_unit_twice():
    assert all(name in BLENDSHAPE_NAMES for rule in UNIT_RULES for name in rule.blendshapes)
    assert len({rule.name for rule in UNIT_RULES}) == len(UNIT_RULES)


def test_one_threshold_for_all_is_another_observer_by_name(observer):
    even, calibrated = BlendshapeUnits(observer, 0.5), BlendshapeUnits(observer)
    assert set(even.thresholds.tolist()) == {0.5}
    assert even.version.name != calibrated.version.name


def test_the_68_points_are_where_the_annotation_has_them(observer, portrait):
    points = MeshLandmarks(observer, MESH_68).landmarks(portrait)[:, :2]
    jaw, brows, nose, eyes, mouth = points[:17], points[17:27], points[27:36], points[36:48], points[48:]
    assert len(set(MESH_68)) == 68
    assert jaw[8, 1] == points[:, 1].max()  # the chin is the lowest
    assert (np.diff(jaw[:, 0]) > -2).all()  # from left to right
    assert brows[:, 1].max() < eyes[:, 1].min() + 2
    assert eyes[:, 1].max() < nose[4:, 1].min() < mouth[:, 1].min()
    assert eyes[:6, 0].max() < nose[0, 0] < eyes[6:, 0].min()
    for group in (brows[:5], eyes[:4], nose[4:], mouth[:7], mouth[12:17]):
        assert (np.diff(group[:, 0]) > 0).all()


def test_the_68_points_of_a_mirrored_picture_are_the_mirrored_points(observer, portrait):
    landmarks = MeshLandmarks(observer, MESH_68)
    points, mirrored = landmarks.landmarks(portrait), landmarks.landmarks(np.ascontiguousarray(portrait[:, ::-1]))
    back = mirrored[list(MIRROR_68), :2] * [-1, 1] + [portrait.shape[1], 0]
    assert np.abs(back - points[:, :2]).mean() < 1.5


class Counting:
    """A face observer that sees nothing and counts how often it is asked."""

    version = ObserverVersion("none", "none", "")
    count = 0

    def observe(self, image):
        self.count += 1


def test_a_remembered_face_is_looked_at_once_and_forgotten_in_time(portrait):
    face = Counting()
    remembering = RememberingFace(face)
    for _ in range(3):
        assert remembering.observe(portrait) is None
    assert face.count == 1
    for brightness in range(10):
        remembering.observe(np.full((4, 4, 3), brightness, np.uint8))
    remembering.observe(portrait)
    assert face.count == 12


def test_a_similarity_is_recovered_and_never_mirrors():
    numbers = np.random.default_rng(0)
    points = numbers.normal(size=(5, 2))
    angle, scale, shift = math.radians(30), 2.5, np.array([4.0, -1.0])
    turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    found_turn, found_shift = similarity(points, points @ turn.T + shift)
    np.testing.assert_allclose(found_turn, turn, atol=1e-12)
    np.testing.assert_allclose(found_shift, shift, atol=1e-12)
    mirrored_turn, _ = similarity(points, points * [-1, 1])
    assert np.linalg.det(mirrored_turn) > 0


def test_a_similarity_has_the_least_error_of_those_near_it():
    numbers = np.random.default_rng(1)
    source, target = numbers.normal(size=(2, 5, 2))
    turn, shift = similarity(source, target)

    def error(turn, shift):
        return ((source @ turn.T + shift - target) ** 2).sum()

    for _ in range(50):
        a, b = numbers.normal(scale=0.05, size=2)
        assert error(turn + np.array([[a, -b], [b, a]]), shift) >= error(turn, shift)
        assert error(turn, shift + numbers.normal(scale=0.05, size=2)) >= error(turn, shift)


def test_alignment_puts_the_five_points_on_the_template():
    image = np.zeros((256, 256, 3), np.uint8)
    points = np.array([[90, 100], [160, 92], [130, 140], [105, 180], [158, 174]]) + 0.5
    for channel, (x, y) in zip((0, 1, 2, 0, 1), points.astype(int), strict=True):
        image[y - 3 : y + 4, x - 3 : x + 4, channel] = 255
    aligned = align(image, points)
    for place, channel in enumerate((0, 1, 2, 0, 1)):
        x, y = TEMPLATE[place]
        rows, columns = np.mgrid[:112, :112]
        near = (np.hypot(columns - x, rows - y) < 12) * aligned[..., channel]
        centre = (near * columns).sum() / near.sum(), (near * rows).sum() / near.sum()
        assert np.hypot(centre[0] - x, centre[1] - y) < 3  # the points are no exact similarity of the template


def test_the_five_points_of_the_portrait_are_in_the_templates_order(mesh):
    points, template = five_points(mesh), np.array(TEMPLATE)
    turn, shift = similarity(points, template)
    assert np.abs(points @ turn.T + shift - template).max() < 8  # of 112 pixels: a smile is wide


@pytest.mark.data
def test_identity_keeps_a_person_who_turns(full_evaluator, portrait, mesh):
    own = full_evaluator.look(portrait).identity
    turned = full_evaluator.look(turn_head(portrait, mesh, 15.0, 5.0, 10.0)).identity
    assert np.linalg.norm(own) == pytest.approx(1, abs=1e-5)
    assert csim(own, turned) > 0.6
    negative = full_evaluator.look(np.ascontiguousarray(255 - portrait)).identity
    assert negative is None or csim(own, negative) < csim(own, turned)
