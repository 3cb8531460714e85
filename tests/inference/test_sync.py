"""The head moves and the sound comes at one moment: in what is written as in what was read, to within a frame."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dagan.data.timing import read_timed
from dagan.inference.video import VideoWriter, probe
from media import jump_and_beep, write_timed

SLOW = [Fraction(n, 10) for n in range(10)]
FAST = [1 + Fraction(n, 30) for n in range(20)]


def at_rate(rate: Fraction, seconds: float = 1.5) -> list[Fraction]:
    return [n / rate for n in range(int(seconds * rate))]


def jitter(times: list[Fraction]) -> list[Fraction]:
    """What a browser records: whole milliseconds, none of them regular."""
    numbers = np.random.default_rng(0)
    return [Fraction(round(1000 * time) + int(numbers.integers(0, 12)), 1000) for time in times]


CASES = {
    "23.976": (at_rate(Fraction(24000, 1001)), "a.mp4", "aac"),
    "29.97": (at_rate(Fraction(30000, 1001)), "a.mp4", "aac"),
    "29.97 by a clock of milliseconds": (at_rate(Fraction(30000, 1001)), "a.mkv", "aac"),
    "240": (at_rate(Fraction(240), 0.5), "a.mp4", "aac"),
    "10, then 30": ([*SLOW, *FAST], "a.mp4", "aac"),
    "browser": (jitter(at_rate(Fraction(30))), "a.webm", "libopus"),
    "MP3 in AVI": (at_rate(Fraction(25)), "a.avi", "mp3"),
    "PCM": (at_rate(Fraction(25)), "a.mkv", "pcm_s16le"),
    "FLAC": (at_rate(Fraction(25)), "a.mkv", "flac"),
    "transport stream": (at_rate(Fraction(25)), "a.ts", "aac"),
}


def heads(times: list[Fraction], jump: Fraction) -> list[np.ndarray]:
    """A bright square that jumps to the other side."""
    frames = np.full((len(times), 64, 64, 3), 40, np.uint8)
    for frame, time in zip(frames, times, strict=True):
        left = 4 if time < jump else 36
        frame[20:44, left : left + 24] = 220
    return list(frames)


def written(path: Path, out: Path) -> Path:
    """A video read with its times and written again."""
    info = probe(path)
    with VideoWriter(out, info.rate, (info.width, info.height), path) as writer:
        for frame in read_timed(path):
            writer.write(frame.pixels, frame.time, frame.duration)
    return out


@pytest.mark.parametrize(("times", "name", "audio"), CASES.values(), ids=CASES)
def test_jump_and_beep_stay_within_a_frame(tmp_path, times, name, audio):
    jump = times[len(times) // 2]
    codec = {"webm": "libvpx", "avi": "mpeg4"}.get(name[2:], "libx264")
    clock = 25 if name == "a.avi" else 90_000
    path = write_timed(tmp_path / name, heads(times, jump), times, codec, audio, beep_at=jump, clock=clock)
    out = written(path, tmp_path / "out.mp4")
    seen, heard = jump_and_beep(out)
    with av.open(str(path)) as container:
        first = next(container.decode(video=0)).time
    assert seen == pytest.approx(jump_and_beep(path)[0] - first, abs=0.002)
    assert abs(seen - heard) < 0.034
    with av.open(str(out)) as container:
        assert container.streams.audio[0].codec_context.name in ("aac", "mp3float", "mp3")


@pytest.mark.parametrize("late", [Fraction(6, 10), Fraction(-4, 10)])
def test_pictures_that_begin_before_or_after_the_sound_keep_their_distance(tmp_path, late):
    times = [time + max(late, Fraction(0)) for time in at_rate(Fraction(25))]
    jump = times[25]
    path = tmp_path / "a.mp4"
    write_timed(path, heads(times, jump), times, audio="aac", beep_at=jump, sound_from=max(-late, Fraction(0)))
    seen, heard = jump_and_beep(written(path, tmp_path / "out.mp4"))
    assert seen == pytest.approx(1.0)
    assert abs(seen - heard) < 0.034


def test_sound_that_ends_before_or_after_the_pictures_is_no_damage(tmp_path, recwarn):
    times = at_rate(Fraction(25), 1)
    for name, seconds in (("a.mkv", 4), ("b.mp4", 4), ("c.webm", 4), ("d.mkv", 0.6)):
        codec = "libvpx" if name == "c.webm" else "libx264"
        audio = "libopus" if name == "c.webm" else "aac"
        path = write_timed(
            tmp_path / name, heads(times, times[9]), times, codec, audio, times[9], sound_until=Fraction(seconds)
        )
        out = written(path, tmp_path / "out.mp4")
        assert probe(out).num_frames_estimate == len(times)
        assert abs(np.subtract(*jump_and_beep(out))) < 0.034
    assert not recwarn.list


def test_a_pause_in_the_sound_becomes_silence(tmp_path):
    """Opus is encoded again: what comes after a hole in it must not move up."""
    times, path = at_rate(Fraction(25)), tmp_path / "a.mkv"
    whole = write_timed(tmp_path / "whole.mkv", heads(times, times[30]), times, audio="libopus", beep_at=times[30])
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            time = float((packet.pts or 0) * packet.time_base)
            if packet.size and not (packet.stream.type == "audio" and 0.3 < time < 1.0):
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    seen, heard = jump_and_beep(written(path, tmp_path / "out.mp4"))
    assert abs(seen - heard) < 0.034


def test_one_frame_a_minute_stays_so(tmp_path):
    times = [Fraction(60 * n) for n in range(4)]
    path = write_timed(tmp_path / "a.mp4", heads(times, times[2]), times, clock=1000)
    info = probe(written(path, tmp_path / "out.mp4"))
    assert [frame.time for frame in read_timed(tmp_path / "out.mp4")] == times
    assert info.rate < 1


def test_the_last_frame_lasts_as_long_as_it_did(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", Fraction(25), (64, 64)) as writer:
        for time, frame in zip((0, 1, 3), heads([Fraction(0)] * 3, Fraction(1)), strict=True):
            writer.write(frame, Fraction(time), Fraction(7))
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.duration / 1e6 == pytest.approx(10, abs=0.01)
