import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dagan.data.decoding import read_frames
from dagan.data.drawn_faces import drawn_clip
from dagan.data.timing import read_timed
from dagan.errors import UserError
from dagan.inference.video import VideoWriter, probe
from media import blocks, sine, write_video

NTSC = Fraction(30000, 1001)


def _write(path, frames, rate=Fraction(25), **options):
    height, width = frames[0].shape[:2]
    with VideoWriter(path, rate, (width, height), **options) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def _tone(path):
    """Strength of the 440 Hz sine, and the sound's start and end in seconds."""
    with av.open(str(path)) as container:
        chunks = [(frame.time, frame.to_ndarray()) for frame in container.decode(audio=0)]
        rate = container.streams.audio[0].rate
    samples = np.concatenate([chunk[0] for _, chunk in chunks]).astype(float)
    spectrum = np.abs(np.fft.rfft(samples))
    peak = np.fft.rfftfreq(len(samples), 1 / rate)[spectrum.argmax()]
    return peak, chunks[0][0], chunks[-1][0] + chunks[-1][1].shape[-1] / rate


@pytest.mark.parametrize("rate", [Fraction(25), NTSC, Fraction(24000, 1001), Fraction(12), Fraction(9000000, 300041)])
def test_the_frame_rate_stays_exact(tmp_path, rate):
    info = probe(_write(tmp_path / "out.mp4", blocks(12), rate))
    assert info.rate == rate
    assert info.num_frames_estimate == 12
    with av.open(str(tmp_path / "out.mp4")) as container:
        times = [frame.pts * frame.time_base for frame in container.decode(video=0)]
    assert times == [number / rate for number in range(12)]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "mov"])
def test_probe_reads_the_exact_rate_of_other_containers(tmp_path, suffix):
    codec = "mpeg4" if suffix == "avi" else "libx264"
    info = probe(write_video(tmp_path / f"a.{suffix}", blocks(30, 48, 64), NTSC, codec=codec))
    assert info.rate == NTSC
    assert (info.width, info.height, info.num_frames_estimate) == (64, 48, 30)
    assert not info.has_audio


def test_probe_tells_the_upright_size_of_a_rotated_video(tmp_path):
    info = probe(write_video(tmp_path / "a.mp4", blocks(3, 48, 64), rotation=90))
    assert (info.width, info.height, info.rotation % 360) == (48, 64, 90)


def test_frames_come_back_with_their_colours(tmp_path):
    clip = drawn_clip(6, 64, seed=0)
    back = np.stack(list(read_frames(_write(tmp_path / "out.mp4", list(clip)))))
    difference = back.astype(float) - clip
    assert back.shape == clip.shape
    assert np.abs(difference).mean() < 6  # chroma has half the resolution
    assert np.abs(difference.mean((0, 1, 2))).max() < 1  # of 255


@pytest.mark.parametrize("colour", [(200, 30, 40), (40, 180, 60), (30, 60, 210), (250, 250, 250), (8, 8, 8)])
def test_flat_colours_do_not_shift(tmp_path, colour):
    path = _write(tmp_path / "out.mp4", [np.full((32, 32, 3), colour, np.uint8)] * 3)
    assert np.abs(next(read_frames(path)).mean((0, 1)) - colour).max() <= 2  # the wrong matrix would give 10 and more
    with av.open(str(path)) as container:
        plain = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert np.abs(plain.mean((0, 1)) - colour).max() <= 4  # and by FFmpeg's rougher default


def test_colours_are_tagged_and_the_index_comes_first(tmp_path):
    path = _write(tmp_path / "out.mp4", blocks(5))
    with av.open(str(path)) as container:
        coder = container.streams.video[0].codec_context
        assert (coder.name, coder.pix_fmt) == ("h264", "yuv420p")
        assert (coder.colorspace, coder.color_primaries, coder.color_trc, coder.color_range) == (1, 1, 1, 1)
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_an_odd_size_is_made_even(tmp_path):
    frame = np.full((63, 61, 3), 90, np.uint8)
    info = probe(_write(tmp_path / "out.mp4", [frame] * 2))
    assert (info.width, info.height) == (62, 64)
    assert abs(next(read_frames(tmp_path / "out.mp4"))[-1, -1].astype(int) - 90).max() < 4


@pytest.mark.parametrize(
    ("suffix", "codec", "kept"), [("mp4", "aac", True), ("mkv", "libopus", False), ("avi", "pcm_s16le", False)]
)
def test_audio_is_copied_or_becomes_aac(tmp_path, suffix, codec, kept):
    video_codec = "mpeg4" if suffix == "avi" else "libx264"
    driving = write_video(tmp_path / f"in.{suffix}", blocks(50), codec=video_codec, audio=codec)
    path = _write(tmp_path / "out.mp4", blocks(50), audio_from=driving)
    assert probe(path).has_audio
    peak, start, end = _tone(path)
    assert peak == pytest.approx(440, abs=2)
    assert start == pytest.approx(0, abs=0.03)
    assert end == pytest.approx(2, abs=0.06)
    packets = []
    for file in (driving, path):
        with av.open(str(file)) as container:
            packets.append([bytes(packet) for packet in container.demux(audio=0) if packet.size])
            name = container.streams.audio[0].codec_context.name
    assert (packets[1] == packets[0]) == kept
    assert name == "aac"


def test_audio_ends_with_the_last_frame_written(tmp_path):
    driving = write_video(tmp_path / "in.mp4", blocks(75), audio="aac")
    assert _tone(_write(tmp_path / "out.mp4", blocks(25), audio_from=driving))[2] == pytest.approx(1, abs=0.05)


def test_audio_that_starts_late_stays_late(tmp_path):
    driving = write_video(tmp_path / "in.mp4", blocks(50), audio="aac", audio_offset=0.5)
    _, start, _ = _tone(_write(tmp_path / "out.mp4", blocks(50), audio_from=driving))
    assert start == pytest.approx(0.5, abs=0.03)


def test_a_silent_driver_gives_a_silent_video(tmp_path):
    driving = write_video(tmp_path / "in.mp4", blocks(5))
    assert not probe(_write(tmp_path / "out.mp4", blocks(5), audio_from=driving)).has_audio


def test_the_output_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "out.mp4"
    with VideoWriter(path, Fraction(25), (64, 64)) as writer:
        for frame in blocks(5):
            writer.write(frame)
            assert not path.exists()
    assert os.listdir(tmp_path) == ["out.mp4"]


def test_a_failure_removes_the_temporary_file_and_keeps_the_old_output(tmp_path):
    path = tmp_path / "out.mp4"
    path.write_bytes(b"older")
    with pytest.raises(KeyboardInterrupt), VideoWriter(path, Fraction(25), (64, 64)) as writer:  # noqa: PT012
        writer.write(blocks(1)[0])
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == ["out.mp4"]
    assert path.read_bytes() == b"older"


def test_zero_frames_are_refused_and_leave_nothing(tmp_path):
    with pytest.raises(UserError, match="no frames"), VideoWriter(tmp_path / "out.mp4", Fraction(25), (64, 64)):
        pass
    assert os.listdir(tmp_path) == []


def test_a_bad_sound_file_leaves_nothing(tmp_path):
    with (
        pytest.raises(UserError, match="no such video"),
        VideoWriter(tmp_path / "out.mp4", Fraction(25), (64, 64), audio_from=tmp_path / "missing.mp4"),
    ):
        pass
    assert os.listdir(tmp_path) == []


def test_an_impossible_output_is_refused_at_once(tmp_path):
    (tmp_path / "folder.mp4").mkdir()
    for name, words in {
        "no/out.mp4": "no such folder: .*no; make it first",
        "out.gif": "must end in",
        "folder.mp4": "is a folder",
    }.items():
        with pytest.raises(UserError, match=words):
            VideoWriter(tmp_path / name, Fraction(25), (64, 64))


def test_a_frame_of_another_size_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expected a uint8 frame"):
        _write(tmp_path / "out.mp4", [np.zeros((64, 64, 3), np.uint8), np.zeros((32, 64, 3), np.uint8)])


def test_the_sine_of_these_tests_is_one():
    assert sum(chunk.samples for chunk in sine(1.0, 0.0)) == 48000


@pytest.mark.parametrize(
    "name", ["2026-11-28T12:30:45.mp4", "http:x.mp4", "a" * 251 + ".mp4", os.fsdecode(b"caf\xe9.mp4")]
)
def test_any_name_can_be_written(tmp_path, monkeypatch, name):
    (tmp_path / "clip:1").mkdir()
    monkeypatch.chdir(tmp_path / "clip:1")
    assert probe(_write(name, blocks(3))).num_frames_estimate == 3
    assert os.listdir(".") == [name]


def test_a_name_that_is_too_long_is_refused_at_once(tmp_path):
    with pytest.raises(UserError, match="the name for -o has over 255 bytes"):
        VideoWriter(tmp_path / ("a" * 252 + ".mp4"), Fraction(25), (64, 64))


def test_times_that_do_not_ascend_are_moved_a_little(tmp_path):
    with VideoWriter(tmp_path / "out.mp4", Fraction(25), (64, 64)) as writer:
        for frame, time in zip(blocks(4), (0, 1, 1, 2), strict=True):
            writer.write(frame, Fraction(time))
    times = [float(frame.time) for frame in read_timed(tmp_path / "out.mp4")]
    assert times == pytest.approx([0, 1, 1, 2], abs=0.011)


@pytest.mark.parametrize("room", [100, 3_000, 30_000])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, room):
    """A limit on the size of files stands for the disk: writing fails in the same place."""
    script = (
        "import resource, sys, warnings; from fractions import Fraction; from media import blocks\n"
        "from dagan.errors import UserError; from dagan.inference.video import VideoWriter\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))\n"
        "try:\n"
        "    with VideoWriter('out.mp4', Fraction(25), (128, 128)) as writer:\n"
        "        for frame in blocks(20, 128, 128): writer.write(frame)\n"
        "except UserError as error: print(error)\n"
    )
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    environment = {**os.environ, "PYTHONPATH": paths}
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert ran.stdout.startswith("cannot write out.mp4: ")
    assert ran.stdout.count("\n") == 1
    assert not ran.stderr
    assert os.listdir(tmp_path) == []
