from fractions import Fraction

import numpy as np
import pytest

from dagan.data.decoding import DecodeReport
from dagan.data.timing import Clock, frame_rate, read_timed
from media import blocks, write_timed, write_video

NTSC = Fraction(30000, 1001)
TICK = Fraction(1, 1000)


def times_of(stamps, step=Fraction(1, 25)):
    clock = Clock(step)
    return [clock.at(None if stamp is None else Fraction(stamp), TICK) for stamp in stamps]


def test_times_begin_at_zero_and_keep_their_distances():
    assert times_of([Fraction(7, 2), 4, 5, 65]) == [0, Fraction(1, 2), Fraction(3, 2), Fraction(123, 2)]


def test_a_missing_time_is_one_step_after_the_last():
    assert times_of([0, None, Fraction(2, 25)]) == [0, Fraction(1, 25), Fraction(2, 25)]
    assert times_of([None, None, None]) == [0, Fraction(1, 25), Fraction(2, 25)]


def test_a_time_that_is_there_twice_is_moved_a_little():
    first, second, third = times_of([0, 0, Fraction(1, 25)])
    assert first < second < third == Fraction(1, 25)
    assert times_of([0, Fraction(4, 10), Fraction(3, 10), 1])[2:] == [Fraction(41, 100), 1]


@pytest.mark.parametrize("leap", [-100, 10**9])
def test_a_clock_that_leaps_goes_on_without_a_gap(leap):
    stamps = [100, 101, 102, 102 + leap, 103 + leap]
    assert times_of(stamps, Fraction(1)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "mov", "ts"])
@pytest.mark.parametrize("rate", [Fraction(25), NTSC, Fraction(24000, 1001)])
def test_frames_at_even_intervals_lie_on_the_exact_rate(tmp_path, suffix, rate):
    codec = "mpeg4" if suffix == "avi" else "libx264"
    path = write_video(tmp_path / f"a.{suffix}", blocks(40), rate, codec=codec)
    found = frame_rate(path)
    assert (found.nominal, found.is_variable) == (rate, False)
    assert [frame.time for frame in read_timed(path)] == [number / rate for number in range(40)]


def test_frames_in_another_order_than_in_the_file_are_counted_where_the_file_has_no_times(tmp_path):
    path = write_video(tmp_path / "a.avi", blocks(30), encoder={"bf": "3"})
    assert [frame.time for frame in read_timed(path)] == [Fraction(number, 25) for number in range(30)]


def test_a_variable_rate_is_told_and_kept(tmp_path):
    times = [Fraction(n, 10) for n in range(10)] + [1 + Fraction(n, 30) for n in range(30)]
    for name in ("a.mp4", "a.mkv"):
        path = write_timed(tmp_path / name, blocks(40), times)
        found = frame_rate(path)
        assert found.is_variable
        assert float(found.nominal) == pytest.approx(20, rel=0.05)
        assert np.abs([float(f.time - t) for f, t in zip(read_timed(path), times, strict=True)]).max() <= 0.001


def test_a_rate_that_is_only_the_clock_is_not_believed(tmp_path):
    numbers = np.random.default_rng(1)
    times = [Fraction(int(t), 1000) for t in np.cumsum(numbers.integers(20, 50, 60))]
    live = {"live": "1"}
    path = write_timed(tmp_path / "a.webm", blocks(60), times, "libvpx", clock=1000, options=live, rate=1000)
    found = frame_rate(path)
    assert found.is_variable
    assert 20 < found.nominal < 50
    frames = list(read_timed(path))
    assert [frame.time for frame in frames] == [time - times[0] for time in times]
    assert {frame.duration for frame in frames} == {None}  # not 1 ms each


def test_one_frame_has_a_rate_and_a_time(tmp_path):
    path = write_video(tmp_path / "a.mp4", blocks(1))
    assert frame_rate(path).nominal == 25
    (frame,) = read_timed(path)
    assert frame.time == 0
    assert frame.duration == Fraction(1, 25)


def test_a_clock_of_twice_the_rate_with_empty_places_is_not_the_rate(tmp_path):
    """As FFmpeg writes H.264 with B-frames that it copies from an mp4 into an AVI."""
    times = [Fraction(number, 25) for number in range(30)]
    path = write_timed(tmp_path / "a.avi", blocks(30), times, clock=50, b_frames=3)
    assert frame_rate(path).nominal == 25
    report = DecodeReport()
    assert [frame.time for frame in read_timed(path, report)] == times
    assert report.damage is None
