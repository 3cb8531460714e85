"""Clips decoded once."""

import os
import pickle

import numpy as np
import pytest

from dagan.data import frame_cache
from dagan.data.clips import fit_square
from dagan.data.frame_cache import open_frames
from dagan.errors import UserError
from media import blocks, frame_folder, truncate, write_video


def test_frames_are_kept_at_the_size_asked_for(tmp_path):
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in" / "a__1.mp4", blocks(6, 64, 96))
    frame_folder(tmp_path / "in" / "b", blocks(12, 48, 48))
    opened = open_frames(tmp_path / "in", tmp_path / "cache", 32)
    assert [len(frames) for frames in opened] == [6, 12]
    assert [frames.frames[[0, 5, 2]].shape for frames in opened] == [(3, 32, 32, 3)] * 2
    assert np.array_equal(opened[1].frames[10], fit_square(blocks(12, 48, 48)[10], 32))  # 10.png is the eleventh


def test_the_cache_is_reused_until_a_clip_or_the_size_changes(tmp_path, monkeypatch):
    folder, cache = tmp_path / "in", tmp_path / "cache"
    folder.mkdir()
    path = write_video(folder / "a.mp4", blocks(4))
    decoded = []
    original = frame_cache._decode_into
    monkeypatch.setattr(frame_cache, "_decode_into", lambda *args: (decoded.append(args), original(*args))[1])
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

    monkeypatch.setattr(frame_cache, "fit_square", interrupted)
    with pytest.raises(KeyboardInterrupt):
        open_frames(folder, cache, 32)
    assert list(cache.iterdir()) == []


def test_a_cached_clip_is_sent_to_a_worker_by_name_and_keeps_no_file_open(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    write_video(folder / "a.mp4", blocks(30))
    before = len(os.listdir("/proc/self/fd"))
    opened = open_frames(folder, tmp_path / "cache", 64)[0]
    first = opened.frames[0]
    assert len(os.listdir("/proc/self/fd")) == before
    sent = pickle.dumps(opened)
    assert len(sent) < 2000
    assert np.array_equal(pickle.loads(sent).frames[0], first)


def test_the_format_of_cache_files_is_that_of_numpy(tmp_path):
    folder, cache = tmp_path / "in", tmp_path / "cache"
    folder.mkdir()
    write_video(folder / "a.mp4", blocks(5))
    opened = open_frames(folder, cache, 32)[0]
    (file,) = cache.iterdir()
    assert np.array_equal(np.load(file), opened.frames[[0, 1, 2, 3, 4]])


def test_a_cache_file_that_was_cut_short_is_made_again(tmp_path):
    folder, cache = tmp_path / "in", tmp_path / "cache"
    folder.mkdir()
    write_video(folder / "a.mp4", blocks(5))
    whole = open_frames(folder, cache, 32)[0].frames[4]
    (file,) = cache.iterdir()
    truncate(file)
    assert np.array_equal(open_frames(folder, cache, 32)[0].frames[4], whole)


def test_a_frame_past_the_end_is_refused(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    write_video(folder / "a.mp4", blocks(5))
    frames = open_frames(folder, tmp_path / "cache", 32)[0].frames
    for index in (5, -1, [0, 5]):
        with pytest.raises(IndexError):
            frames[index]
