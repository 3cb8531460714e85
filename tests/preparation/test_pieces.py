import numpy as np
import pytest

from dagan.preparation.pieces import pieces_of
from dagan.preparation.settings import Settings
from dagan.preparation.tracks import Track

SIZE = (640, 360)
RATE = 10.0
SETTINGS = Settings(min_seconds=1.0, max_seconds=4.0, min_face=40)


def _track(x, y=130.0, size=80.0, score=0.9, first=0):
    x, y = np.broadcast_arrays(np.asarray(x, float), y)
    boxes = np.stack([x, y, np.full(len(x), size), np.full(len(x), size)], -1)
    return Track(0, first, boxes, np.full(len(x), score))


def _pieces(track, others=(), settings=SETTINGS):
    return pieces_of(track, [track, *others], SIZE, RATE, settings)


def _reasons(*args, **named):
    return [piece.reason for piece in _pieces(*args, **named)]


def test_a_face_that_keeps_its_place_has_one_crop_with_room_around_it():
    (piece,) = _pieces(_track(280 + 5 * np.sin(np.arange(30))))
    assert piece.reason == ""
    assert piece.crop.size == pytest.approx(80 / 0.51, rel=0.1)
    assert piece.crop.x < 275
    assert piece.crop.x + piece.crop.size > 365


def test_a_long_track_becomes_equal_parts():
    pieces = _pieces(_track([280.0] * 100))
    assert [len(piece.track.scores) for piece in pieces] == [33, 34, 33]
    assert [piece.track.first for piece in pieces] == [0, 33, 67]


def test_a_face_that_walks_has_several_crops_and_each_holds_it():
    pieces = _pieces(_track(100 + 6.0 * np.arange(40)))
    assert len(pieces) > 1
    for piece in pieces:
        left = piece.track.boxes[:, 0].min() - piece.crop.x
        right = piece.crop.x + piece.crop.size - piece.track.boxes[:, 0].max() - 80
        assert min(left, right) >= -0.05 * piece.crop.size


@pytest.mark.parametrize(
    ("track", "reason"),
    [
        (_track([280.0] * 8), "short"),
        (_track([280.0] * 30, size=30), "small"),
        (_track([280.0] * 30, score=0.62), "uncertain"),
        (_track([-30.0] * 30), "cut_off"),
        (_track([280.0] * 30, y=320.0), "cut_off"),
        (_track(30 + 30.0 * np.arange(18)), "moving"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_boxes_alone_say_against_a_clip(track, reason):
    assert set(_reasons(track)) == {reason}


def test_another_head_in_the_crop_is_a_crowd_and_one_beside_it_is_not():
    ours = _track([200.0] * 30)
    assert _reasons(ours, [_track([300.0] * 30)]) == ["crowd"]
    assert _reasons(ours, [_track([420.0] * 30)]) == [""]
    assert _reasons(ours, [_track([300.0] * 2)]) == [""]  # for a moment


def test_floors_that_are_let_down_let_everything_pass():
    settings = Settings(
        min_seconds=1.0, max_seconds=4.0, min_face=0, min_confidence=0.0, max_outside=1.0, max_crowd=1.0
    )
    assert _reasons(_track([280.0] * 30, size=30, score=0.1), settings=settings) == [""]
