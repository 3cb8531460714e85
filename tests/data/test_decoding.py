import os
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from dagan.data import decoding
from dagan.data.decoding import DecodeReport, open_video, read_frames
from dagan.data.pictures import read_image
from dagan.data.seeking import index_video, read_numbered
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


NAMES = ["2026-11-28T12:30:45.mp4", "http:x.mp4", "file:x.mp4", "pipe:0.mp4", "take %03d [1].mp4", "-x.mp4", "a\nb.mp4"]


@pytest.mark.parametrize("name", [*NAMES, "a" * 251 + ".mp4", os.fsdecode(b"caf\xe9.mp4")])
def test_any_name_is_a_name(tmp_path, monkeypatch, name):
    """Colons mean nothing: FFmpeg would look for a protocol before them."""
    (tmp_path / "clip:1").mkdir()
    for folder in (tmp_path, tmp_path / "clip:1"):
        write_video(tmp_path / "plain.mp4", blocks(2)).rename(folder / name)
        monkeypatch.chdir(folder)
        assert len(list(read_frames(name))) == len(list(read_frames(folder / name))) == 2


@pytest.mark.parametrize("address", ["http://[::1]:9/a", "concat:plain.mp4|plain.mp4", "subfile,,start,0,end,9,,:a"])
def test_an_address_is_no_file(tmp_path, monkeypatch, address):
    write_video(tmp_path / "plain.mp4", blocks(2))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no such video file"):
        next(read_frames(address))


CONCAT = "ffconcat version 1.0\nfile plain.mp4\n"
HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nplain.mp4\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize("content", [CONCAT, HLS])
def test_a_playlist_does_not_read_its_neighbours(tmp_path, content):
    write_video(tmp_path / "plain.mp4", blocks(2))
    for name in ("list.mp4", "list.m3u8", "list.ffconcat"):
        (tmp_path / name).write_text(content)
        with pytest.raises(UserError, match="not a video that can be read"):
            next(read_frames(tmp_path / name))


def test_a_picture_is_not_a_video_of_one_frame(tmp_path):
    Image.fromarray(blocks(1)[0]).save(tmp_path / "a.mp4", "JPEG")
    with pytest.raises(UserError, match="is a picture; expected a video"):
        next(read_frames(tmp_path / "a.mp4"))


def test_a_title_that_is_not_utf_8_does_not_matter(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "XX title"
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        for frame in blocks(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        container.mux(stream.encode(None))
    path.write_bytes(path.read_bytes().replace(b"XX title", b"\xe9\xe8 title"))
    assert len(list(read_frames(path))) == 3


def of_sizes(path, sizes):
    """A video whose picture changes its size: two VP8 files, joined packet by packet."""
    parts = [write_video(path.with_name(f"{n}.webm"), blocks(3, *size), codec="libvpx") for n, size in enumerate(sizes)]
    with av.open(str(path), "w") as container:
        stream, time = None, 0
        for part in parts:
            with av.open(str(part)) as source:
                stream = stream or container.add_stream_from_template(source.streams.video[0])
                for packet in source.demux(video=0):
                    if packet.size:
                        packet.stream, packet.pts, packet.dts, time = stream, time, time, time + 40
                        container.mux(packet)
    return path


def test_a_picture_that_changes_its_size_keeps_its_shape(tmp_path):
    path = of_sizes(tmp_path / "a.webm", [(64, 128), (128, 64), (32, 64)])
    frames = list(read_frames(path))
    assert [frame.shape for frame in frames] == [(64, 128, 3)] * 9
    tall, small = frames[4].astype(int), frames[7]
    assert tall[:, :44].max() < 20  # black beside it
    assert tall[:, 52:76].mean() > 60
    assert small[:, :44].mean() > 60  # of the first one's shape: it fills the picture
    numbered = read_numbered(path, index_video(path), [4, 1, 7])
    assert all(np.array_equal(one, frames[n]) for one, n in zip(numbered, (4, 1, 7), strict=True))


@pytest.mark.parametrize("aspect", [(10_000, 1), (1, 10_000)])
def test_a_pixel_of_no_pixels_shape_is_refused(tmp_path, aspect):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt, stream.codec_context.sample_aspect_ratio = "yuv420p", Fraction(2)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(blocks(1)[0])))
        container.mux(stream.encode(None))
    assert next(read_frames(path)).shape == (64, 128, 3)
    twice, other = (b"pasp" + struct.pack(">II", *shape) for shape in ((2, 1), aspect))
    path.write_bytes(path.read_bytes().replace(twice, other))
    with pytest.raises(UserError, match=r"times as wide as high; expected at most 8"):
        next(read_frames(path))


def test_a_video_of_absurd_size_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", blocks(2, 128, 128))
    monkeypatch.setattr(decoding, "MAX_IMAGE_PIXELS", 100 * 100)
    with pytest.raises(UserError, match=r"video is too large: .* has 128x128 pixels"):
        next(read_frames(path))


@pytest.mark.parametrize("flip", [(-65536, 65536), (65536, -65536)], ids=["left and right", "up and down"])
def test_a_mirrored_video_is_shown_mirrored(tmp_path, flip):
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[:24, :32] = 255
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.set_display_matrix((flip[0], 0, 0, 0, flip[1], 0, 0, 0, 1 << 30))
        container.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        container.mux(stream.encode(None))
    expected = frame[:, ::-1] if flip[0] < 0 else frame[::-1]
    assert np.abs(next(read_frames(path)).astype(int) - expected).mean() < 4


def test_of_a_file_that_ends_within_a_frame_the_whole_frames_are_used(tmp_path):
    whole = write_video(tmp_path / "a.mp4", blocks(20), faststart=True, encoder={"bf": "0", "g": "1"})
    frames = list(read_frames(whole))
    truncate(whole, 0.61)
    report = DecodeReport()
    cut = list(read_frames(whole, report))
    assert 8 < len(cut) < 13
    assert all(np.array_equal(one, other) for one, other in zip(cut, frames, strict=False))
    assert report.damage


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "is empty"), (b"<!doctype html>", "is an HTML page"), (b"version https://git-lfs", "is a git-LFS pointer")],
)
def test_what_lies_in_the_place_of_a_video_or_a_picture_is_said(tmp_path, content, words):
    for name, read in (("a.mp4", open_video), ("a.jpg", read_image)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=rf"{name} \({words}"):
            read(tmp_path / name)
