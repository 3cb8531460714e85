import numpy as np
import pytest

from dagan.preparation.sound import STEPS_A_SECOND, agreement, loudness
from media import blocks, write_video

TIMES = np.arange(100) / 25
OPENING = np.clip(np.sin(TIMES * 7) * np.sin(TIMES * 2.3), 0, None)


def _levels(delay=0.0):
    clock = np.arange(4 * STEPS_A_SECOND) / STEPS_A_SECOND
    loud = np.interp(clock - delay, TIMES, OPENING)
    return np.log(1e-4 + loud)


def test_sound_that_goes_with_the_mouth_agrees_and_its_delay_is_found():
    found = agreement(OPENING, TIMES, _levels(delay=0.12))
    assert found.score > 0.8
    assert found.delay == pytest.approx(0.12, abs=0.05)


def test_sound_of_somebody_else_does_not_agree():
    other = np.log(1e-4 + np.clip(np.sin(np.arange(400) / 100 * 11 + 2), 0, None))
    assert agreement(OPENING, TIMES, other).score < 0.4


def test_silence_and_a_closed_mouth_have_no_agreement():
    assert agreement(OPENING, TIMES, np.zeros(400)) is None
    assert agreement(np.zeros(100), TIMES, _levels()) is None
    assert agreement(OPENING[:5], TIMES[:5], _levels()) is None


def test_loudness_is_that_of_the_sound_from_the_first_frame_on(tmp_path):
    path = write_video(tmp_path / "tone.mp4", blocks(25), audio="aac")
    levels = loudness(path)
    assert len(levels) == pytest.approx(STEPS_A_SECOND, abs=8)
    middle = levels[20:80]
    assert middle == pytest.approx(np.full(60, np.log(0.125)), abs=0.2)  # a sine of 0.5


def test_a_video_without_sound_has_no_loudness(tmp_path):
    assert loudness(write_video(tmp_path / "mute.mp4", blocks(5))) is None


def test_sound_that_begins_late_is_preceded_by_silence(tmp_path):
    path = write_video(tmp_path / "late.mp4", blocks(50), audio="aac", audio_offset=1.0)
    levels = loudness(path)
    assert levels[:80].max() < levels[120:150].min()
