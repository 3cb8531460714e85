import numpy as np
import pytest

from dagan.preparation.shots import CUT, ShotFinder, difference, signature
from drawn_faces import scene, with_person


def _cuts(frames):
    finder = ShotFinder()
    for frame in frames:
        finder.add(frame)
    finder.finish()
    assert finder.decided == len(frames)
    return finder.cuts


def _shot(seed, count=20):
    return [with_person(scene(seed), 100 + number, 60) for number in range(count)]


@pytest.mark.parametrize("lengths", [(20, 20, 20), (5, 30, 5), (40, 3, 3, 30)])
def test_planted_cuts_are_found_where_they_are(lengths):
    frames = [frame for seed, count in enumerate(lengths) for frame in _shot(seed, count)]
    assert _cuts(frames) == np.cumsum(lengths)[:-1].tolist()


def test_a_pan_is_no_cut():
    wide = scene(0, (1600, 180))
    assert _cuts([wide[:, 12 * number : 12 * number + 320] for number in range(60)]) == []


def test_a_flash_is_no_cut():
    frames = _shot(0, 40)
    frames[20] = np.full_like(frames[20], 255)
    assert _cuts(frames) == []


def test_light_that_flickers_is_no_cut():
    frames = [
        np.clip(frame.astype(int) + 12 * (number % 2), 0, 255).astype(np.uint8) for number, frame in enumerate(_shot(0))
    ]
    assert _cuts(frames) == []


def test_a_still_video_has_one_shot():
    assert _cuts([scene()] * 12) == []
    assert _cuts([scene()]) == []


def test_the_difference_is_none_for_equal_frames_and_large_for_others():
    a, b = signature(scene(0)), signature(scene(1))
    assert difference(a, a) == 0
    assert CUT < difference(a, b) <= 1
    black, white = (signature(np.full((64, 64, 3), level, np.uint8)) for level in (0, 255))
    assert difference(black, white) == pytest.approx(1)
