import pytest
import torch

from dagan.errors import UserError
from dagan.face import EXPRESSIONS, MEAN_FACE, NUM_LANDMARKS
from dagan.transfer.face_edit import DEFAULT, PLAIN, FaceEdit, parse_expression, parse_parts, parse_turn
from dagan.transfer.face_transfer import BONE, face_transfer, within_reach
from dagan.transfer.head_pose import FacePose, _degrees, _rotation_of, fit_pose
from dagan.transfer.retargeting import FaceRetargetingConfig
from dagan.types import Keypoints

SHAPE = torch.tensor(MEAN_FACE)[None]


def rotation(**degrees: float) -> torch.Tensor:
    angles = torch.deg2rad(torch.tensor([[degrees.get(name, 0.0) for name in ("yaw", "pitch", "roll")]]))
    return _rotation_of(*torch.stack([angles.cos(), angles.sin()], -1).unbind(1))


def face(shift: tuple[float, float] = (0.0, 0.0), **degrees: float) -> torch.Tensor:
    """The mean face's landmarks, turned and moved."""
    return FacePose(torch.tensor([0.4]), rotation(**degrees), torch.tensor([shift])).seen(SHAPE)


def seen(points: torch.Tensor) -> list[float]:
    """Yaw, pitch and roll of a face with these landmarks."""
    return _degrees(fit_pose(points, SHAPE).rotation)[0].tolist()


def moved(edit: FaceEdit, driver: torch.Tensor) -> torch.Tensor:
    return face_transfer(Keypoints(face()), Keypoints(face()), 1.0, edit)(Keypoints(driver)).position


def test_an_amount_of_a_half_turns_the_head_half_as_far():
    turned = seen(moved(FaceEdit(amount=0.5), face(yaw=20, roll=-10)))
    assert turned == pytest.approx([10, 0, -5], abs=0.7)
    assert seen(moved(FaceEdit(), face(yaw=20))) == pytest.approx([20, 0, 0], abs=0.7)


def test_angles_are_added_to_the_drivers_or_set():
    added, fixed = FaceEdit(turn_by={"yaw": 10.0}), FaceEdit(turn_to={"yaw": -15.0})
    assert seen(moved(added, face(yaw=20))) == pytest.approx([30, 0, 0], abs=1)
    assert seen(moved(fixed, face(yaw=20, pitch=8))) == pytest.approx([-15, 8, 0], abs=1)


def test_a_head_that_does_not_follow_keeps_its_turn_place_and_size():
    still = moved(FaceEdit(parts=frozenset({"eyes", "mouth"})), 1.2 * face((0.1, 0.0), yaw=20))
    bone = list(BONE)
    torch.testing.assert_close(still[:, bone], face()[:, bone], rtol=0, atol=0.01)


@pytest.mark.parametrize(("part", "landmark"), [("mouth", "lower_lip"), ("brows", "left_brow")])
def test_a_part_that_does_not_follow_stays(part, landmark):
    from dagan.face import LANDMARKS

    number = [mark.name for mark in LANDMARKS].index(landmark)
    driver = face()
    driver[0, number, 1] += 0.05
    with_it, without = (
        moved(FaceEdit(parts=frozenset({"head", "eyes", "brows", "mouth"} - left_out)), driver)
        for left_out in (set(), {part})
    )
    assert (with_it - face())[0, number, 1] > 0.02
    assert (without - face())[0, number].abs().max() < 0.01


def test_a_head_goes_across_the_photo_as_translation_says():
    near, far = torch.tensor([[[0.1, 0.0]]]), torch.tensor([[[0.9, 0.0]]])
    assert torch.equal(within_reach(far, "keep"), far)
    assert not within_reach(far, "none").any()
    torch.testing.assert_close(within_reach(near, "damp"), near)
    assert 0.3 < float(within_reach(far, "damp")[0, 0, 0]) < 0.6


def test_by_default_a_driver_who_stays_near_is_followed_exactly():
    driver = face((0.1, 0.05), yaw=12, pitch=-5)
    torch.testing.assert_close(moved(DEFAULT, driver), moved(PLAIN, driver), rtol=0, atol=1e-6)


@pytest.fixture
def retargeting():
    made = FaceRetargetingConfig().build().eval()
    torch.nn.init.normal_(made.placer[-1].weight, std=0.02)
    return made


def expressing(retargeting, edit: FaceEdit, source: float, driver: float) -> torch.Tensor:
    """Landmarks of a source whose every coefficient is `source`, driven by a change from 0 to `driver`."""

    def keypoints(level: float) -> Keypoints:
        return Keypoints(face(), None, face(), torch.full((1, len(EXPRESSIONS)), level))

    with torch.no_grad():
        return retargeting(keypoints(source), keypoints(0.0), 1.0, edit)(keypoints(driver)).position


def test_an_added_expression_is_placed_as_the_drivers_own_would_be(retargeting):
    """Of a source at 0.2: 0.3 more by an edit, or by a driver (whose change counts `gain` times; lids once)."""
    smile = EXPRESSIONS.index("mouthSmileLeft")
    added = expressing(retargeting, FaceEdit(expression={"mouthSmileLeft": 0.3}), 0.2, 0.0)
    driving = torch.zeros(1, len(EXPRESSIONS))
    driving[0, smile] = 0.3 / float(retargeting.gain[smile])
    source = Keypoints(face(), None, face(), torch.full((1, len(EXPRESSIONS)), 0.2))
    rest = Keypoints(face(), None, face(), torch.zeros(1, len(EXPRESSIONS)))
    with torch.no_grad():
        driven = retargeting(source, rest)(rest._replace(expression=driving)).position
    lips = [number for number in range(NUM_LANDMARKS) if abs(float((added - face())[0, number].sum())) > 1e-6]
    assert lips
    corners = [4, 5]
    assert (added - driven)[0, corners].abs().max() < 0.02


def test_an_expression_stays_between_0_and_1(retargeting):
    once = expressing(retargeting, FaceEdit(expression={"jawOpen": 1.0}), 0.9, 0.0)
    less = expressing(retargeting, FaceEdit(expression={"jawOpen": 0.1}), 0.9, 0.0)
    torch.testing.assert_close(once, less)


def test_displacements_place_no_expression():
    points = Keypoints(face())
    with pytest.raises(UserError, match="leave --expression out"):
        face_transfer(points, points, 1.0, FaceEdit(expression={"jawOpen": 0.5}))


def test_options_are_read_as_they_are_written():
    assert parse_parts("eyes, head") == frozenset({"head", "eyes"})
    assert parse_expression(["smile=0.4", "jawOpen=-0.1"]) == {
        "mouthSmileLeft": 0.4,
        "mouthSmileRight": 0.4,
        "jawOpen": -0.1,
    }
    assert parse_turn(["yaw=10", "pitch==-5"]) == ({"yaw": 10.0}, {"pitch": -5.0})


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_parts, "nose"),
        (parse_expression, ["grin=1"]),
        (parse_expression, ["smile"]),
        (parse_expression, ["smile=2"]),
        (parse_expression, ["smile=nan"]),
        (parse_turn, ["tilt=3"]),
        (parse_turn, ["yaw=400"]),
    ],
)
def test_what_cannot_be_is_one_line_with_what_can(parse, text):
    with pytest.raises(UserError, match=r"expected|known are"):
        parse(text)
