import av
import numpy as np
import pytest
from PIL import Image

from dagan.data.clips import find_clips, fit_square, identity_of, read_clip, read_folder, shortened
from dagan.errors import UserError
from media import blocks


def _frame_folder(path, frames):
    path.mkdir(parents=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(path / f"{number}.png")


def test_identity_is_what_stands_before_the_first_mark():
    assert identity_of("id10#abc#1#2") == "id10"
    assert identity_of("jane_doe__talk_c00") == "jane_doe"
    assert identity_of("jane__a#b") == "jane"
    assert identity_of("plain") == "plain"


def test_videos_and_frame_folders_are_found_one_level_deep(tmp_path):
    (tmp_path / "people" / "deep" / "deeper").mkdir(parents=True)
    for name in ("a__1.mp4", "b#2.MKV", "people/c.webm", "people/deep/deeper/no.mp4", "notes.txt", ".hidden.mp4"):
        (tmp_path / name).touch()
    _frame_folder(tmp_path / "d#1.mp4", blocks(2))  # VoxCeleb's frame folders are named like this
    _frame_folder(tmp_path / "people" / "e", blocks(2))
    found = {clip.name: clip.identity for clip in find_clips(tmp_path)}
    assert found == {"a__1": "a", "b#2": "b", "people/c": "c", "d#1": "d", "people/e": "e"}


@pytest.mark.parametrize("suffix", ["m4v", "MOV", "webm", "gif", "ts"])
def test_videos_of_every_readable_kind_are_clips(tmp_path, suffix):
    codec = {"webm": "libvpx", "gif": "gif"}.get(suffix, "libx264")
    with av.open(str(tmp_path / f"ann__1.{suffix}"), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        for frame in blocks(4):
            picture = av.VideoFrame.from_ndarray(frame)
            container.mux(stream.encode(picture.reformat(format=stream.pix_fmt)))
        container.mux(stream.encode(None))
    (clip,) = find_clips(tmp_path)
    assert (clip.identity, clip.name) == ("ann", "ann__1")
    assert len(list(read_clip(clip))) == 4


@pytest.mark.parametrize("suffix", ["webp", "avif", "tif", "bmp", "jp2"])
def test_pictures_of_every_readable_kind_are_frames(tmp_path, suffix):
    (tmp_path / "bob").mkdir()
    for number, frame in enumerate(blocks(3)):
        Image.fromarray(frame).save(tmp_path / "bob" / f"{number}.{suffix}")
    (clip,) = find_clips(tmp_path)
    assert [frame.shape for frame in read_clip(clip)] == [(64, 64, 3)] * 3


def test_an_empty_or_missing_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="no clips"):
        find_clips(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        find_clips(tmp_path / "missing")


def test_a_folder_of_frames_of_different_sizes_is_refused_by_the_frame(tmp_path):
    _frame_folder(tmp_path / "a", [*blocks(2, 32, 32), *blocks(1, 48, 64)])
    with pytest.raises(UserError, match=r"different sizes: 32x32, but 2\.png is 64x48"):
        list(read_folder(tmp_path / "a"))


def test_a_long_list_of_bad_clips_is_cut_short_and_counted():
    assert shortened(["a", "b"]) == "a; b"
    assert shortened([str(number) for number in range(20)]).endswith("11; and 8 more")


def test_the_square_is_the_middle_and_shrinking_averages_areas():
    frame = np.zeros((4, 8, 3), np.uint8)
    frame[:, 2:4], frame[:, :2] = 100, 255  # the left edge is cut off
    assert np.array_equal(fit_square(frame, 2)[:, :, 0], [[100, 0], [100, 0]])
    assert fit_square(frame, 1)[0, 0, 0] == 50
    grown = fit_square(frame, 8)[:, :, 0]
    assert grown.shape == (8, 8)
    assert grown[0, 0] == 100
