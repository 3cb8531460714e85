import json

import numpy as np
import pytest
import torch

from dagan.errors import UserError
from dagan.images import Crop, apply_crop
from dagan.inference.crop import FACE_SHARE, central_square, crop_of_faces, frame_photo
from dagan.inference.framing import cut_window, frame_video
from dagan.inference.quarter_turn import turn
from dagan.inference.track_report import frame_reports, report_of
from drawn_faces import ColourDetector, scene, with_person

RATE = 24.0
ROOM = scene()


def _framed(frames, choice="auto", face="largest"):
    return frame_video(lambda: iter(frames), RATE, choice, face, ColourDetector(), "clip.mp4")


def _sway(number):
    return round(12 * np.sin(number / 7))


def _share_and_middle(framing, number):
    x, y, side = framing.windows[number]
    box = framing.track.boxes[number]
    return (box[2] * box[3]) ** 0.5 / side, (box[:2] + box[2:] / 2 - (x, y)) / side


def test_a_person_who_keeps_her_place_has_the_one_crop_of_the_first_ten_seconds():
    frames = [with_person(ROOM, 140 + _sway(i), 70) for i in range(60)]
    framing = _framed(frames)
    faces = [ColourDetector().detect(frame)[0] for frame in frames[::12]]
    assert set(map(tuple, framing.windows.tolist())) == {tuple(crop_of_faces(faces, (ROOM.shape[1], ROOM.shape[0])))}
    assert report_of(framing).line() is None


def test_a_face_crop_is_used_whole():
    frames = [with_person(scene(size=(80, 80)), 20 + _sway(i) // 2, 20, 40) for i in range(60)]
    assert set(map(tuple, _framed(frames).windows.tolist())) == {(0.0, 0.0, 80.0)}


def test_the_crop_walks_with_a_person_and_stands_still_before_and_after():
    def x(number):
        return round(20 + 2 * min(max(number - 60, 0), 110))

    framing = _framed([with_person(ROOM, x(i), 70) for i in range(240)])
    for number in range(240):
        share, middle = _share_and_middle(framing, number)
        assert share == pytest.approx(FACE_SHARE, abs=0.08)
        assert np.abs(middle - 0.5).max() < 0.27
    steps = np.diff(framing.windows, axis=0)
    assert np.abs(steps).max() <= 3.5  # the walk itself has 2 pixels a frame
    assert np.abs(np.diff(steps, axis=0)).max() < 0.7  # no jerks
    assert not steps[:30].any()
    assert not steps[-20:].any()
    assert "crop followed the face" in report_of(framing).line()


def test_a_zoom_keeps_the_size_of_the_face():
    framing = _framed([with_person(ROOM, 150 - i // 4, 80 - i // 4, 30 + i // 2) for i in range(120)])
    shares = [_share_and_middle(framing, number)[0] for number in range(120)]
    assert 0.4 < min(shares) <= max(shares) < 0.7


def test_a_title_card_does_not_hide_the_person_who_follows_it():
    frames = [scene(9)] * 260 + [with_person(ROOM, 140, 70)] * 12
    framing = _framed(frames)
    expected = frame_photo(frames[-1], "auto", detector=ColourDetector()).crop
    assert set(map(tuple, framing.windows.tolist())) == {tuple(expected)}
    assert report_of(framing).held == 260


def test_each_shot_has_its_own_crop():
    frames = [with_person(ROOM, 30, 30)] * 30 + [with_person(scene(5), 200, 90, 60)] * 30
    framing = _framed(frames)
    for number, frame in ((0, frames[0]), (29, frames[0]), (30, frames[-1]), (59, frames[-1])):
        assert tuple(framing.windows[number]) == tuple(frame_photo(frame, "auto", detector=ColourDetector()).crop)
    assert report_of(framing).re_anchored == 1
    assert report_of(framing).line() == "crop anchored anew once"


def test_frames_without_a_face_are_counted_and_named():
    frames = [with_person(ROOM, 140, 70) for _ in range(40)]
    frames[12:14], frames[24:33] = [np.zeros_like(ROOM)] * 2, [np.full_like(ROOM, 90)] * 9
    framing = _framed(frames)
    report = report_of(framing)
    assert (report.frames, report.found, report.held, report.re_anchored) == (40, 29, 11, 0)
    assert report.line() == "11 of 40 frames had no face: held"
    assert not report.is_mostly_lost
    rows = json.loads(json.dumps(frame_reports(framing)))
    assert [row["frame"] for row in rows if row["status"] == "held"] == [12, 13, *range(24, 33)]
    assert rows[0]["crop"] == framing.windows[0].tolist()
    assert rows[12]["score"] == 0


def test_the_line_says_which_of_two_faces_was_taken():
    frames = [with_person(with_person(ROOM, 220, 30, 30, "bob"), 60, 60)] * 12
    assert report_of(_framed(frames)).line() == "2 faces: took the largest, at 80,80; --face 2 is the other"
    assert report_of(_framed(frames, face=2)).line() == "2 faces: took face 2, at 235,45; --face 1 is the other"
    with pytest.raises(UserError, match=r"no face for --face 3 in clip\.mp4, which shows 2 faces: --face 1 is at"):
        _framed(frames, face=3)


def test_no_face_says_how_much_was_looked_at():
    with pytest.raises(UserError, match=r"no face found in clip\.mp4 \(looked at \d+ of \d+ frames\); use --crop none"):
        _framed([scene(seed) for seed in range(30)])
    with pytest.raises(UserError, match=r"clip\.mp4 has no frames"):
        _framed([])


def test_a_crop_that_was_asked_for_is_used_and_its_frames_without_a_face_are_held():
    frames = [with_person(ROOM, 140, 70)] * 20 + [ROOM] * 5
    for choice, crop in (("none", central_square((320, 180))), (Crop(130, 60, 60), Crop(130, 60, 60))):
        framing = _framed(frames, choice)
        assert set(map(tuple, framing.windows.tolist())) == {tuple(crop)}
        assert framing.found.tolist() == [True] * 20 + [False] * 5
    assert _framed([ROOM] * 5, "none").found.all()  # a face that the detector does not know
    with pytest.raises(UserError, match="--crop lies outside of clip"):
        _framed(frames, Crop(400, 0, 64))


def test_the_pictures_are_the_squares_of_the_turned_frames():
    upright = [with_person(ROOM, 140 + 4 * i, 70) for i in range(20)]
    framing = _framed(upright)
    framing, frames = framing._replace(track=framing.track._replace(quarter=1)), [turn(frame, -1) for frame in upright]
    (*_, last) = framing.pictures(frames, 32)
    assert last.shape == (1, 3, 32, 32)
    torch.testing.assert_close(last[0], cut_window(upright[-1], framing.windows[-1], 32))


def test_a_square_of_whole_pixels_is_cut_as_a_crop():
    assert torch.equal(cut_window(ROOM, np.array([30.0, -8.0, 100.0]), 64), apply_crop(ROOM, Crop(30, -8, 100), 64))


def test_a_square_between_pixels_shows_what_lies_between_them():
    ramp = np.repeat(np.arange(0, 240, 2, dtype=np.uint8)[None, :, None], 120, 0).repeat(3, -1)
    left, right = (cut_window(ramp, np.array([x, 20.0, 64.0]), 32) for x in (20.0, 21.0))
    between = cut_window(ramp, np.array([20.5, 20.0, 64.0]), 32)
    torch.testing.assert_close(between, (left + right) / 2, atol=0.004, rtol=0)
