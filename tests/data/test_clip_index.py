"""Clips opened by an index: the same clips and frames as decoding all of them at the start gives."""

import json
import os
import pickle

import numpy as np
import pytest
from PIL import Image

from dagan.data import clip_index
from dagan.data.clip_index import INDEX_FILE, open_seeking
from dagan.data.frame_cache import open_frames
from dagan.errors import UserError
from media import blocks, frame_folder, truncate, write_video


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in" / "id10001#VIDEO#000993#001143.mp4", blocks(20, 64, 96), encoder={"g": "6"})
    write_video(tmp_path / "in" / "jane__c00.mp4", blocks(9))
    frame_folder(tmp_path / "in" / "id10002#VIDEO#1#2.mp4", blocks(12, 48, 48))
    return tmp_path / "in"


def test_seeking_and_the_cache_give_the_same_clips_people_and_frames(folder, tmp_path):
    seeking, cached = open_seeking(folder, tmp_path / "index", 32), open_frames(folder, tmp_path / "cache", 32)
    assert [clip.clip for clip in seeking] == [clip.clip for clip in cached]
    assert [clip.clip.identity for clip in seeking] == ["id10001", "id10002", "jane"]
    for one, other in zip(seeking, cached, strict=True):
        assert len(one) == len(other)
        numbers = [len(one) - 1, 0, 3]
        assert np.array_equal(one.frames[numbers], other.frames[numbers])
        assert np.array_equal(one.frames[5], other.frames[5])


def test_what_has_not_changed_is_not_looked_at_again(folder, tmp_path, monkeypatch):
    looked = []
    original = clip_index.index_clip
    monkeypatch.setattr(clip_index, "index_clip", lambda clip: (looked.append(clip.name), original(clip))[1])
    first = open_seeking(folder, tmp_path / "index", 32)
    assert len(looked) == 3
    again = open_seeking(folder, tmp_path / "index", 16)
    assert len(looked) == 3
    assert [len(clip) for clip in again] == [len(clip) for clip in first]
    os.utime(folder / "jane__c00.mp4", (1, 1))
    open_seeking(folder, tmp_path / "index", 32)
    assert looked[3:] == ["jane__c00"]


@pytest.mark.parametrize("content", ["", "{", '{"version": 99, "clips": {}}', "[1]"])
def test_a_damaged_or_foreign_index_is_made_again(folder, tmp_path, content):
    open_seeking(folder, tmp_path / "index", 32)
    (tmp_path / "index" / INDEX_FILE).write_text(content)
    assert len(open_seeking(folder, tmp_path / "index", 32)) == 3
    assert len(json.loads((tmp_path / "index" / INDEX_FILE).read_text())["clips"]) == 3


def test_bad_clips_are_skipped_and_damaged_ones_used_each_in_one_line(folder, tmp_path, capsys):
    write_video(folder / "one.mp4", blocks(1))
    (folder / "text.mp4").write_text("no video")
    frame_folder(folder / "mixed", [*blocks(2, 32, 32), *blocks(1, 32, 64)])
    frame_folder(folder / "torn", blocks(3))
    (folder / "torn" / "1.png").write_bytes(b"\x89PNG nothing")
    truncate(write_video(folder / "cut.mp4", blocks(60), faststart=True))
    opened = open_seeking(folder, tmp_path / "index", 32)
    assert [clip.clip.name for clip in opened if clip.clip.name == "cut"] == ["cut"]
    skipped, damaged = capsys.readouterr().err.strip().splitlines()
    assert skipped.startswith("skipped 4 of 8 clips: mixed (frames of different sizes: 32x32, but 2.png is 64x32)")
    assert "one (1 frame; at least 2 are needed)" in skipped
    assert "torn (1.png is not an image that can be read)" in skipped
    assert "text (not a video" in skipped
    assert damaged.startswith("1 of 8 clips are damaged; what decodes is used: cut (")


def test_a_folder_without_one_usable_clip_is_refused(tmp_path):
    write_video(tmp_path / "one.mp4", blocks(1))
    with pytest.raises(UserError, match="none of the 1 clips"):
        open_seeking(tmp_path, tmp_path / "index", 32)


def test_opened_clips_are_small_and_hold_no_files(folder, tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    opened = open_seeking(folder, tmp_path / "index", 32)
    _ = [clip.frames[1] for clip in opened]
    assert len(os.listdir("/proc/self/fd")) == before
    assert all(len(pickle.dumps(clip)) < 2000 for clip in opened)
    assert np.array_equal(pickle.loads(pickle.dumps(opened[0])).frames[7], opened[0].frames[7])


def test_a_picture_that_breaks_later_is_replaced_by_its_neighbour(tmp_path):
    frame_folder(tmp_path / "in" / "a", blocks(4))
    (clip,) = open_seeking(tmp_path / "in", tmp_path / "index", 32)
    expected = clip.frames[1]
    whole = (tmp_path / "in" / "a" / "2.png").read_bytes()
    (tmp_path / "in" / "a" / "2.png").write_bytes(whole[: len(whole) // 2])
    with pytest.warns(UserWarning, match=r"2\.png .*; frame 1 takes its place"):
        assert np.array_equal(clip.frames[2], expected)
    Image.fromarray(blocks(1)[0]).save(tmp_path / "in" / "a" / "9.png")
    with pytest.raises(UserError, match="has 5 frames, and had 4"):
        clip.frames[0]


@pytest.mark.parametrize(
    "entry",
    [{"pictures": 10**18}, {"pictures": "x"}, {"pictures": -1}, [], 3, {}, {"range": [0, 10**18, 1]}],
)
def test_a_damaged_entry_of_the_index_is_made_again(folder, tmp_path, entry):
    before = open_seeking(folder, tmp_path / "index", 32)
    file = tmp_path / "index" / INDEX_FILE
    plain = json.loads(file.read_text())
    file.write_text(json.dumps(plain | {"clips": dict.fromkeys(plain["clips"], entry)}))
    assert [len(clip) for clip in open_seeking(folder, tmp_path / "index", 32)] == [len(clip) for clip in before]
