"""A person's video as frames to train on."""

from pathlib import Path

import numpy as np
import pytest

from dagan.data.decoding import read_frames
from dagan.errors import UserError
from dagan.images import Crop
from dagan.inference import drivers, person_clip
from dagan.inference.person_clip import count_frames, store_clip
from media import blocks, write_video


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "me.mp4", blocks(20, height=64, width=96))


def test_frames_are_chosen_evenly_from_all_of_the_clip_and_cropped(video: Path, tmp_path: Path) -> None:
    assert count_frames(video) == 20
    stored = store_clip(video, Crop(8, 0, 64), 64, 5, tmp_path)
    decoded = np.stack(list(read_frames(video)))
    assert np.array_equal(stored[[0, 1, 2, 3, 4]], decoded[[0, 5, 10, 14, 19], :, 8:72])
    everything = store_clip(video, Crop(8, 0, 64), 64, 1000, tmp_path)
    assert np.array_equal(everything[list(range(20))], decoded[:, :, 8:72])


def test_frames_without_a_face_are_left_out_and_counted(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info, framing = drivers.framed(video, Crop(8, 0, 64))
    shown = np.arange(20) >= 12
    monkeypatch.setattr(person_clip, "framed", lambda *_: (info, framing._replace(found=shown)))
    with pytest.warns(UserWarning, match="12 of 20 frames of .* have no face: left out"):
        stored = store_clip(video, Crop(8, 0, 64), 64, 4, tmp_path)
    decoded = np.stack(list(read_frames(video)))
    assert np.array_equal(stored[[0, 1, 2, 3]], decoded[[12, 14, 17, 19], :, 8:72])


def test_a_person_who_walks_is_followed(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info, framing = drivers.framed(video, Crop(8, 0, 64))
    windows = np.array([[number, 0, 64] for number in range(20)], float)
    monkeypatch.setattr(person_clip, "framed", lambda *_: (info, framing._replace(windows=windows)))
    stored = store_clip(video, "auto", 64, 20, tmp_path)
    decoded = list(read_frames(video))
    assert all(np.array_equal(stored[number], decoded[number][:, number : number + 64]) for number in range(20))


def test_frames_are_stored_once_for_each_crop_and_size(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = store_clip(video, "none", 32, 4, tmp_path)
    others = {
        store_clip(video, choice, size, 4, tmp_path).path for choice, size in (("none", 64), (Crop(0, 0, 64), 32))
    }
    assert len({first.path, *others}) == 3
    monkeypatch.setattr(person_clip, "store_frames", None)
    assert store_clip(video, "none", 32, 4, tmp_path) == first
    assert not list(tmp_path.glob("*.partial"))


def test_a_folder_that_cannot_be_written_and_a_file_that_is_no_video_are_named(video: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot write frames in /proc"):
        store_clip(video, "none", 32, 4, Path("/proc"))
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(UserError, match="not a video"):
        count_frames(tmp_path / "text.mp4")
