import numpy as np
import pytest

from dagan.inference.face_track import MOST_BETWEEN, track_face, video_quarter
from dagan.inference.quarter_turn import turn
from drawn_faces import ColourDetector, scene, with_person

RATE = 24.0


def _track(frames, choice="largest", quarter=0):
    return track_face(iter(frames), RATE, ColourDetector(), choice, quarter)


def test_a_face_that_keeps_still_is_looked_at_now_and_then_and_known_in_every_frame():
    detector = ColourDetector()
    track = track_face((with_person(scene(), 100 + (i % 3), 60) for i in range(48)), RATE, detector)
    assert track.found.all()
    assert detector.looks == track.looks <= 48 / 2.5
    assert np.abs(track.boxes[:, 0] - 100).max() <= 2
    assert set(track.shots) == {0}


def test_a_moving_face_is_interpolated_between_looks():
    track = _track([with_person(scene(), 40 + 2 * i, 60) for i in range(49)])
    np.testing.assert_allclose(track.boxes[:, 0], 40 + 2 * np.arange(49), atol=0.01)


def test_two_black_frames_between_two_looks_have_no_face():
    frames = [with_person(scene(), 100, 60) for _ in range(48)]
    frames[13] = frames[14] = np.zeros_like(frames[0])
    assert np.flatnonzero(~_track(frames).found).tolist() == [13, 14]


def test_a_hand_before_the_face_of_a_person_far_away_is_seen_in_the_frame_it_covers():
    frames = [with_person(scene(), 100, 60, 24) for _ in range(48)]
    frames[14][50:100, 90:140] = 120  # too small a part of the picture for a cut
    assert np.flatnonzero(~_track(frames).found).tolist() == [14]


def test_a_face_that_appears_late_is_found_in_its_first_frame():
    card = scene()
    frames = [card if i < 151 else with_person(card, 100, 60) for i in range(160)]
    track = _track(frames)
    assert np.flatnonzero(track.found)[0] == 151
    assert track.looks < 20  # a title card that does not change is not looked at again and again
    assert set(track.shots) == {0}


def test_of_two_people_who_cross_the_first_is_followed_even_when_hidden():
    frames = [with_person(with_person(scene(), 20 + 6 * i, 60, 40), 260 - 6 * i, 57, 46, "bob") for i in range(40)]
    track = _track(frames, 1)
    shown = np.flatnonzero(track.found)
    np.testing.assert_allclose(track.boxes[shown, 0], 20 + 6 * shown, atol=25)  # half hidden, the box is narrower
    assert not track.found[20]  # behind bob
    assert track.found[-5:].all()


def test_a_cut_takes_the_largest_face_of_the_new_scene():
    before = [with_person(scene(), 100, 60, 40) for _ in range(30)]
    after = [with_person(with_person(scene(5), 110, 60, 20), 200, 100, 60, "bob") for _ in range(30)]
    track = _track(before + after)
    assert track.shots.tolist() == [0] * 30 + [1] * 30
    assert track.found.all()
    assert track.boxes[30:, 0].tolist() == pytest.approx([200] * 30)


def test_a_bystander_is_not_taken_while_the_face_is_away_for_a_moment_only():
    def frame(number):
        alone = with_person(scene(), 230, 20, 36, "bob")
        return alone if 12 <= number < 24 else with_person(alone, 60, 60)

    track = _track(map(frame, range(60)))
    assert np.flatnonzero(~track.found).tolist() == list(range(12, 24))
    assert track.boxes[-1, 0] == 60
    longer = _track([frame(15 if 12 <= i < 50 else i) for i in range(60)])
    assert longer.boxes[45, 0] == 230  # away for more than a second: the other one goes on
    assert longer.shots[45] == 1


@pytest.mark.parametrize(("choice", "x"), [("largest", 60), (1, 60), (2, 230), ((245.0, 40.0), 230)])
def test_the_face_that_is_asked_for_is_followed(choice, x):
    frame = with_person(with_person(scene(), 230, 20, 36, "bob"), 60, 60)
    track = _track([frame] * 20, choice)
    assert set(track.boxes[:, 0].tolist()) == {x}
    assert [found.x for found in track.faces] == [60, 230]
    assert track.taken.x == x


def test_a_face_that_is_not_there_is_not_replaced_by_another():
    track = _track([with_person(scene(), 60, 60)] * 10, 2)
    assert track.taken is None
    assert not track.found.any()
    assert [found.x for found in track.faces] == [60]


def test_a_turned_video_is_tracked_upright_and_the_point_asked_for_is_that_of_the_file():
    lying = turn(with_person(with_person(scene(), 230, 20, 36, "bob"), 60, 60), -1)
    at = next(found for found in ColourDetector().detect(lying) if found.width == 36)
    track = _track([lying] * 10, (at.x + 5, at.y + 5), quarter=1)
    assert track.image_size == (320, 180)
    assert set(track.boxes[:, 0].tolist()) == {230}


def test_a_video_without_frames_has_an_empty_track():
    assert len(_track([]).scores) == 0


def test_pictures_are_kept_only_until_the_next_look():
    alive, most = 0, 0

    class Picture(np.ndarray):
        def __del__(self):
            nonlocal alive
            alive -= self.base is None

    def frames():
        nonlocal alive, most
        for _ in range(100):
            picture = np.ndarray.__new__(Picture, (180, 320, 3), np.uint8)
            picture[:] = with_person(scene(), 100, 60)
            alive += 1
            most = max(most, alive)
            yield picture
            del picture

    track_face(frames(), 240.0, ColourDetector())
    assert most <= MOST_BETWEEN + 2


class _LyingDetector(ColourDetector):
    """Sees upright faces, whose pattern is darker above, better than others."""

    def detect(self, image):
        def score(found):
            x, y, side = int(found.x), int(found.y), int(found.width)
            part = image[y : y + side, x : x + side, 2].astype(float)
            above, below = part[: side // 2].mean(), part[side // 2 :].mean()
            return 0.95 if below - above > 60 else 0.84

        return [found._replace(score=score(found)) for found in super().detect(image)]


def _portrait():
    frame = with_person(scene(), 100, 60)
    frame[60:80, 100:140, 2], frame[80:100, 100:140, 2] = 20, 220
    return frame


@pytest.mark.parametrize("quarter", [0, 1, 2, 3])
def test_a_video_that_lies_is_turned_by_what_most_of_its_first_faces_say(quarter):
    lying = turn(_portrait(), -quarter)
    empty = np.zeros_like(lying)
    assert video_quarter([empty] * 20 + [lying] * 80, RATE, _LyingDetector()) == quarter


def test_one_look_is_enough_for_a_video_that_is_upright():
    taken = []
    frames = (taken.append(1) or _portrait() for _ in range(100))
    assert video_quarter(frames, RATE, _LyingDetector()) == 0
    assert len(taken) == 1
