import os
import pickle

import numpy as np
import pytest
from PIL import Image

from dagan.data import clips as clips_module
from dagan.data.clips import find_clips, fit_square, identity_of, open_frames
from dagan.errors import UserError
from media import blocks, write_video


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


def test_an_empty_or_missing_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="no clips"):
        find_clips(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        find_clips(tmp_path / "missing")


def test_frames_are_memory_mapped_at_the_size_asked_for(tmp_path):
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in" / "a__1.mp4", blocks(6, 64, 96))
    _frame_folder(tmp_path / "in" / "b", blocks(12, 48, 48))
    opened = open_frames(tmp_path / "in", tmp_path / "cache", 32)
    assert [frames.frames.shape for frames in opened] == [(6, 32, 32, 3), (12, 32, 32, 3)]
    assert all(isinstance(frames.frames, np.memmap) for frames in opened)
    assert np.array_equal(opened[1].frames[10], fit_square(blocks(12, 48, 48)[10], 32))  # 10.png is the eleventh


def test_the_cache_is_reused_until_a_clip_or_the_size_changes(tmp_path, monkeypatch):
    folder, cache = tmp_path / "in", tmp_path / "cache"
    folder.mkdir()
    path = write_video(folder / "a.mp4", blocks(4))
    decoded = []
    original = clips_module._decode_into
    monkeypatch.setattr(clips_module, "_decode_into", lambda *args: (decoded.append(args), original(*args))[1])
    open_frames(folder, cache, 32)
    open_frames(folder, cache, 32)
    assert len(decoded) == 1
    open_frames(folder, cache, 16)
    assert len(decoded) == 2
    os.utime(path, (1, 1))
    open_frames(folder, cache, 32)
    assert len(decoded) == 3


def test_bad_clips_are_counted_and_named_and_leave_nothing_behind(tmp_path, capsys):
    folder, cache = tmp_path / "in", tmp_path / "cache"
    folder.mkdir()
    write_video(folder / "good.mp4", blocks(4))
    write_video(folder / "short.mp4", blocks(1))
    (folder / "broken.mp4").write_text("no video")
    assert [frames.clip.name for frames in open_frames(folder, cache, 32)] == ["good"]
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("skipped 2 of 3 clips: broken (")
    assert "short (1 frame; at least 2 are needed)" in lines[0]
    assert len(list(cache.iterdir())) == 1


def test_a_folder_without_one_usable_clip_is_refused(tmp_path):
    (tmp_path / "broken.mp4").write_text("no video")
    with pytest.raises(UserError, match="none of the 1 clips"):
        open_frames(tmp_path, tmp_path / "cache", 32)


def test_an_interrupted_decode_leaves_no_cache_file(tmp_path, monkeypatch):
    folder, cache = tmp_path / "in", tmp_path / "cache"
    folder.mkdir()
    write_video(folder / "a.mp4", blocks(8))
    seen = []

    def interrupted(frame, size):
        seen.append(frame)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return fit_square(frame, size)

    monkeypatch.setattr(clips_module, "fit_square", interrupted)
    with pytest.raises(KeyboardInterrupt):
        open_frames(folder, cache, 32)
    assert list(cache.iterdir()) == []


def test_a_worker_reopens_the_memory_map_instead_of_copying_it(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    write_video(folder / "a.mp4", blocks(30))
    opened = open_frames(folder, tmp_path / "cache", 64)[0]
    sent = pickle.dumps(opened)
    assert len(sent) < 2000 < opened.frames.nbytes
    again = pickle.loads(sent)
    assert isinstance(again.frames, np.memmap)
    assert np.array_equal(again.frames, opened.frames)


def test_the_square_is_the_middle_and_shrinking_averages_areas():
    frame = np.zeros((4, 8, 3), np.uint8)
    frame[:, 2:4], frame[:, :2] = 100, 255  # the left edge is cut off
    assert np.array_equal(fit_square(frame, 2)[:, :, 0], [[100, 0], [100, 0]])
    assert fit_square(frame, 1)[0, 0, 0] == 50
    grown = fit_square(frame, 8)[:, :, 0]
    assert grown.shape == (8, 8)
    assert grown[0, 0] == 100
