from fractions import Fraction

import av
import numpy as np
import pytest

from dagan.data.decoding import DecodeReport, read_frames
from dagan.errors import UserError
from media import blocks, sine, truncate, write_video


def test_a_whole_video_gives_all_frames_and_no_damage(tmp_path):
    report = DecodeReport()
    frames = list(read_frames(write_video(tmp_path / "a.mp4", blocks(20, 48, 64)), report))
    assert len(frames) == report.num_frames == 20
    assert report.damage is None
    assert all(frame.shape == (48, 64, 3) and frame.dtype == np.uint8 for frame in frames)


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.avi", "mpeg4"), ("a.mkv", "libx264")])
def test_a_truncated_video_gives_its_readable_frames_and_says_so(tmp_path, name, codec):
    path = truncate(write_video(tmp_path / name, blocks(60), codec=codec, faststart=name == "a.mp4"))
    with pytest.warns(UserWarning, match=r"damaged or truncated.*using the \d+ frames"):
        frames = list(read_frames(path))
    assert 10 < len(frames) < 60
    report = DecodeReport()
    assert len(list(read_frames(path, report))) == len(frames) == report.num_frames
    assert report.damage


def test_damage_in_the_middle_does_not_end_the_video(tmp_path):
    path = write_video(tmp_path / "a.mp4", blocks(60), faststart=True)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 800] = np.random.default_rng(0).bytes(800)
    path.write_bytes(content)
    report = DecodeReport()
    assert len(list(read_frames(path, report))) > 45
    assert report.damage


def test_a_rotated_video_comes_upright(tmp_path):
    upright = np.zeros((64, 32, 3), np.uint8)
    upright[:16, :, 0] = 255  # red on top
    stored = np.rot90(upright, -1)  # as a camera held sideways does
    path = write_video(tmp_path / "a.mp4", [stored] * 5, rotation=90)
    frame = next(read_frames(path))
    assert frame.shape == upright.shape
    assert np.abs(frame.astype(int) - upright).mean() < 8


def test_decoding_keeps_the_mean_colour(tmp_path):
    colour = np.array([200, 120, 40], np.uint8)
    path = write_video(tmp_path / "a.mp4", [np.tile(colour, (64, 64, 1))] * 3)
    assert np.abs(next(read_frames(path)).astype(float).mean((0, 1)) - colour).max() < 2


def test_what_is_not_a_video_is_refused_in_one_line(tmp_path):
    text, empty = tmp_path / "text.mp4", tmp_path / "empty.mp4"
    text.write_text("not a video")
    empty.touch()
    for path in (text, empty, tmp_path / "missing.mp4", tmp_path):
        with pytest.raises(UserError, match="video") as caught:
            next(read_frames(path))
        assert "\n" not in str(caught.value)


def test_a_sound_file_is_refused_as_a_video(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        sound = container.add_stream("aac", rate=48000, layout="mono")
        for chunk in sine(0.5, 0):
            container.mux(sound.encode(chunk))
        container.mux(sound.encode(None))
    with pytest.raises(UserError, match="no video stream"):
        next(read_frames(tmp_path / "a.mp4"))


def test_stopping_early_leaves_no_warning(tmp_path, recwarn):
    frames = read_frames(write_video(tmp_path / "a.mp4", blocks(20), rate=Fraction(30000, 1001)))
    next(frames)
    frames.close()
    assert not recwarn.list


def test_sound_behind_the_cut_does_not_end_the_pictures_before_it(tmp_path):
    frames = blocks(150, 160, 160)
    path = truncate(write_video(tmp_path / "a.mp4", frames, audio="aac", faststart=True, sound_last=True), 0.7)
    report = DecodeReport()
    assert len(list(read_frames(path, report))) > 75
    assert report.damage
