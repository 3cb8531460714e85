"""Frames by number: whatever the file is like, they are those that decoding it from the start gives."""

import io
import warnings
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dagan.data import seeking
from dagan.data.decoding import DecodeReport, read_frames
from dagan.data.seeking import VideoIndex, index_by_decoding, index_video, read_numbered
from dagan.errors import UserError
from media import blocks, truncate, write_video

GOPS = {
    "one keyframe": {"g": "250"},
    "closed": {"g": "7", "bf": "3"},
    "open": {"g": "10", "keyint_min": "10", "bf": "3", "x264-params": "open-gop=1:b-pyramid=normal"},
    "every frame": {"g": "1"},
    "no B-frames": {"g": "5", "bf": "0"},
}
EVERY_TENTH = {"g": "10", "bf": "0", "sc_threshold": "0"}


def every_frame(path: Path) -> list[np.ndarray]:
    return list(read_frames(path, DecodeReport()))


@pytest.mark.parametrize("encoder", GOPS.values(), ids=GOPS)
def test_any_frames_in_any_order_are_those_of_the_whole_video(tmp_path, encoder):
    path = write_video(tmp_path / "a.mp4", blocks(40, 48, 64), encoder=encoder)
    whole, index = every_frame(path), index_video(path)
    assert index.num_frames == len(whole) == 40
    for numbers in ([0], [39], [3, 20], [20, 3], [9, 9, 10], [11, 12, 13], *([n] for n in range(5, 40, 4))):
        frames = read_numbered(path, index, numbers)
        assert all(np.array_equal(frame, whole[n]) for frame, n in zip(frames, numbers, strict=True)), numbers


@pytest.mark.parametrize(
    ("name", "codec"), [("a.avi", "mpeg4"), ("a.mkv", "libx264"), ("a.webm", "libvpx"), ("a.mov", "libx264")]
)
def test_other_kinds_of_files_give_the_same_frames(tmp_path, name, codec):
    path = write_video(tmp_path / name, blocks(25), codec=codec, encoder={"g": "6"})
    whole, index = every_frame(path), index_video(path)
    assert index.num_frames == len(whole) == 25
    for numbers in ([0, 24], [13, 5], [6, 7], [23]):
        frames = read_numbered(path, index, numbers)
        assert all(np.array_equal(frame, whole[n]) for frame, n in zip(frames, numbers, strict=True)), numbers


def test_frames_at_uneven_times_and_beside_sound_are_found(tmp_path):
    path = tmp_path / "a.mp4"
    times = np.cumsum([0, 1, 1, 5, 2, 9, 1, 1, 1, 3, 3, 1]).tolist()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "4"})
        stream.width = stream.height = 64
        for time, pixels in zip(times, blocks(len(times)), strict=True):
            frame = av.VideoFrame.from_ndarray(pixels)
            frame.pts, frame.time_base = time, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    whole, index = every_frame(path), index_video(path)
    assert isinstance(index.times, tuple)
    assert len(whole) == index.num_frames == len(times)
    assert all(np.array_equal(read_numbered(path, index, [n])[0], whole[n]) for n in range(len(times)))
    beside = write_video(tmp_path / "b.mp4", blocks(30), audio="aac", sound_last=True)
    assert np.array_equal(read_numbered(beside, index_video(beside), [17])[0], every_frame(beside)[17])


def test_a_turned_video_is_upright(tmp_path):
    path = write_video(tmp_path / "a.mp4", blocks(6, 48, 64), rotation=90)
    (frame,) = read_numbered(path, index_video(path), [4])
    assert frame.shape == (64, 48, 3)
    assert np.array_equal(frame, every_frame(path)[4])


def test_an_index_knows_keyframes_without_decoding_and_survives_json(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", blocks(30), encoder=EVERY_TENTH)
    decoded = index_by_decoding(path)
    monkeypatch.setattr(seeking, "index_by_decoding", lambda *_: pytest.fail("the video was decoded"))
    index = index_video(path)
    assert index == decoded
    assert isinstance(index.times, range)
    assert [index.number_at(time) for time in index.key_times] == [0, 10, 20]
    assert [index.key_before(n) for n in (0, 9, 10, 29)] == [None, None, *index.key_times[1:]]
    assert VideoIndex.from_plain(index.to_plain()) == index


def test_only_the_frames_from_the_keyframe_before_are_decoded(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", blocks(60), encoder=EVERY_TENTH)
    index, packets = index_video(path), []
    original = seeking._decoded
    monkeypatch.setattr(seeking, "_decoded", lambda packet: (packets.append(packet.pts), original(packet))[1])
    read_numbered(path, index, [52])
    assert [index.number_at(time) for time in packets] == [50, 51, 52]


@pytest.mark.parametrize(("name", "faststart"), [("a.mp4", True), ("a.mkv", False)])
def test_a_truncated_video_has_the_frames_that_decode(tmp_path, name, faststart):
    path = truncate(write_video(tmp_path / name, blocks(60), faststart=faststart, encoder={"g": "12"}))
    whole, index = every_frame(path), index_video(path)
    assert index.damage
    assert index.num_frames == len(whole)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in (0, len(whole) // 2, len(whole) - 2):
            assert np.array_equal(read_numbered(path, index, [number])[0], whole[number])


def test_a_frame_that_is_gone_is_replaced_by_the_nearest_and_said_so(tmp_path):
    path = write_video(tmp_path / "a.mp4", blocks(60), faststart=True, encoder={"g": "10", "bf": "0"})
    index = index_video(path)
    whole = every_frame(path)
    truncate(path)  # after it was indexed
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"frame 59 of .*a\.mp4 does not decode; frame \d+ takes its place"):
            frame, first = read_numbered(path, index, [59, 0])
        assert np.array_equal(first, whole[0])
        assert frame.shape == (64, 64, 3)


def test_what_is_no_video_is_refused(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    for path in (tmp_path / "a.mp4", tmp_path / "missing.mp4"):
        with pytest.raises(UserError, match="video"):
            index_video(path)


def test_a_video_can_lie_in_memory(tmp_path):
    path = write_video(tmp_path / "a.mp4", blocks(20), encoder={"g": "6"})
    content = path.read_bytes()
    index = index_video("memory", io.BytesIO(content))
    assert index == index_video(path)
    assert np.array_equal(read_numbered("memory", index, [13], io.BytesIO(content))[0], every_frame(path)[13])


@pytest.mark.data
def test_real_clips_give_the_frames_of_the_whole_video():
    numbers = np.random.default_rng(0)
    for path in sorted(Path(__file__).parents[3].glob("shared/clips/train/*.mp4"))[::12]:
        whole, index = every_frame(path), index_video(path)
        assert index.num_frames == len(whole)
        wanted = numbers.integers(0, len(whole), 3).tolist()
        assert all(np.array_equal(f, whole[n]) for f, n in zip(read_numbered(path, index, wanted), wanted, strict=True))


@pytest.mark.parametrize(
    "change",
    [
        {"range": [0, 10**18, 1]},
        {"range": [0, 10**30, 1]},
        {"range": [0, 10, 0]},
        {"range": [10, 0, -1]},
        {"range": [0, 10]},
        {"range": [0.0, 10.0, 1.0]},
        {"range": [0, 0, 1]},
        {"key_times": [5, 3]},
        {"key_times": ["a"]},
        {"key_times": None},
    ],
)
def test_an_index_of_absurd_times_is_refused(change):
    plain = VideoIndex(range(0, 10, 1), (0, 5)).to_plain()
    assert VideoIndex.from_plain(plain).num_frames == 10
    with pytest.raises((ValueError, TypeError)):
        VideoIndex.from_plain(plain | change)


def test_an_index_of_times_out_of_order_is_refused():
    plain = VideoIndex((0, 3, 5), (0,)).to_plain()
    assert VideoIndex.from_plain(plain).times == (0, 3, 5)
    with pytest.raises(ValueError, match="ascend"):
        VideoIndex.from_plain(plain | {"times": [0, 5, 3]})
