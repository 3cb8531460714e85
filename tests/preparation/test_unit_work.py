import errno
import json

import numpy as np
import pytest

from dagan.data.seeking import index_video
from dagan.errors import UserError
from dagan.preparation import work
from dagan.preparation.archives import LANDMARKS, VIDEO, read_boxes, read_clips, read_contents, read_member, without
from dagan.preparation.cutting import Observers
from dagan.preparation.settings import Settings
from dagan.preparation.units import Unit, Wanted, find_units
from dagan.preparation.work import Preparer
from drawn_raw import DrawnDetector, DrawnFace, DrawnIdentity, drawn_raw

SETTINGS = Settings(min_seconds=0.6, max_seconds=2.0, min_face=20, min_sharpness=0.0, max_shake=100.0, size=64)
ANN, BOB = (100, 60, 40, "ann"), (230, 60, 40, "bob")


def _preparer(folder, settings=SETTINGS):
    return Preparer(folder, settings, DrawnDetector(), Observers(DrawnFace(), DrawnIdentity()))


def _done(tmp_path, shots, settings=SETTINGS, wanted=()):
    raw = drawn_raw(tmp_path / "raw.mp4", shots)
    (unit,) = find_units([raw])
    unit = Unit(unit.path, unit.source, unit.key, wanted)
    done = _preparer(tmp_path, settings)(unit)
    return done, tmp_path / f"{unit.key}.tar", unit


def test_each_person_of_each_shot_becomes_a_clip_with_landmarks_boxes_and_a_row(tmp_path):
    done, tar, _ = _done(tmp_path, [(30, 0, [ANN, BOB]), (30, 5, []), (30, 7, [ANN])])
    rows, embeddings = read_contents(tar)
    assert (done.kept, done.dropped) == (3, 1)
    assert [(row.reason, row.num_frames > 20) for row in rows] == [("", True)] * 3 + [("no_face", True)]
    assert (rows[3].start, rows[3].end) == (1.2, 2.4)
    assert set(embeddings) == {row.name for row in rows[:3]}
    boxes = read_boxes(tar)
    for name, content in read_clips(tar, list(embeddings), VIDEO):
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(content)
        assert index_video(path).num_frames == len(boxes[name])
        with np.load(_file(tar, name, tmp_path)) as track:
            assert track["landmarks"].shape == (len(boxes[name]), 478, 2)
            assert track["found"].all()


def _file(tar, name, folder):
    path = folder / f"{name}.npz"
    path.write_bytes(read_member(tar, f"{name}{LANDMARKS}"))
    return path


@pytest.mark.parametrize(
    ("shots", "settings", "reason"),
    [
        ([(10, 0, [ANN]), (30, 5, [])], SETTINGS, "short"),
        ([(30, 0, [(100, 60, 16, "ann")])], SETTINGS, "small"),
        ([(30, 0, [(-18, 60, 40, "ann")])], SETTINGS, "cut_off"),
        ([(30, 0, [ANN, (140, 60, 40, "bob")])], SETTINGS, "crowd"),
        ([(30, 0, [ANN])], Settings(**{**vars(SETTINGS), "min_sharpness": 50.0}), "blurred"),
        ([(30, 0, [ANN])], Settings(**{**vars(SETTINGS), "min_motion": 90.0}), "still"),
        ([(30, 0, [ANN])], Settings(**{**vars(SETTINGS), "max_shake": 0.001}), "shaking"),
        ([(30, 0, [ANN])], Settings(**{**vars(SETTINGS), "min_likeness": 1.1}), "mixed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_dropped_has_its_reason_and_a_picture_and_no_clip(tmp_path, shots, settings, reason):
    _, tar, _ = _done(tmp_path, shots, settings)
    rows = [row for row in read_contents(tar).rows if row.reason != "no_face"]
    assert {row.reason for row in rows} == {reason}
    assert read_member(tar, f"{rows[0].name}.jpg")
    with pytest.raises(UserError):
        read_member(tar, f"{rows[0].name}.mp4")


def test_the_same_raw_video_gives_the_same_bytes(tmp_path):
    _, tar, unit = _done(tmp_path, [(20, 0, [ANN])])
    (tmp_path / "again").mkdir()
    _preparer(tmp_path / "again")(unit)
    assert tar.read_bytes() == (tmp_path / "again" / tar.name).read_bytes()


def test_what_is_there_is_left_and_what_is_damaged_or_outdated_is_made_again(tmp_path):
    done, tar, unit = _done(tmp_path, [(20, 0, [ANN])])
    whole, preparer = tar.read_bytes(), _preparer(tmp_path)
    assert preparer(unit) == done._replace(was_there=True)
    tar.write_bytes(whole[: len(whole) // 2])
    assert preparer(unit) == done
    assert tar.read_bytes() == whole
    drawn_raw(unit.path, [(25, 3, [BOB])])
    assert not preparer(unit).was_there


def test_an_unreadable_file_is_a_row_with_the_reason(tmp_path):
    raw = tmp_path / "broken.mp4"
    raw.write_bytes(b"no video")
    done = _preparer(tmp_path)(find_units([raw])[0])
    (row,) = read_contents(tmp_path / f"{done.key}.tar").rows
    assert row.reason == "unreadable"
    assert "broken.mp4" in row.detail


def test_a_full_disk_ends_the_run_and_leaves_nothing_half_done(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(work.ArchiveWriter, "add", full)
    raw = drawn_raw(tmp_path / "raw.mp4", [(20, 0, [ANN])])
    with pytest.raises(UserError, match="no space left"):
        _preparer(tmp_path)(find_units([raw])[0])
    assert [path.name for path in tmp_path.iterdir()] == ["raw.mp4"]


def test_what_a_list_wants_is_cut_at_its_times_by_its_box_and_under_its_name(tmp_path):
    box = (220 / 320, 50 / 180, 70 / 320, 60 / 180)
    wanted = (Wanted("id1_a", "id1", 0.2, 1.0, box, "test"), Wanted("id2_b", "id2", 0.2, 1.0, box, "train", exact=True))
    _, tar, _ = _done(tmp_path, [(30, 0, [ANN, BOB])], wanted=wanted)
    found, exact = read_contents(tar).rows
    assert (found.name, found.person, found.split, found.first_frame) == ("id1_a", "id1", "test", 5)
    assert abs(found.x + found.side / 2 - 250) < 8  # around bob, whom the box shows
    assert (exact.side, exact.num_frames) == (70, 20)


def test_people_are_taken_out_of_an_archive_and_the_rest_stays(tmp_path):
    _, tar, _ = _done(tmp_path, [(20, 0, [ANN, BOB])])
    gone, stays = read_contents(tar).rows
    clip = read_member(tar, f"{stays.name}.mp4")
    from dataclasses import replace

    assert without(tar, lambda row: row.name == gone.name, lambda row: replace(row, reason="excluded"))
    rows, embeddings = read_contents(tar)
    assert [row.reason for row in rows] == ["excluded", ""]
    assert set(embeddings) == {stays.name}
    assert read_member(tar, f"{stays.name}.mp4") == clip
    for suffix in (".mp4", ".npz", ".jpg"):
        with pytest.raises(UserError):
            read_member(tar, f"{gone.name}{suffix}")
    assert not without(tar, lambda row: False, lambda row: row)


def test_two_raw_files_of_one_name_are_refused(tmp_path):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "talk.mp4").write_bytes(b"")
    with pytest.raises(UserError, match=r"two raw files are called talk\.mp4"):
        find_units([tmp_path / "a", tmp_path / "b"])
    keys = [unit.key for unit in find_units([tmp_path])]
    assert len(set(keys)) == 2
    assert not any("__" in key for key in keys)


def test_a_row_is_plain_json(tmp_path):
    _, tar, _ = _done(tmp_path, [(20, 0, [ANN])])
    line = json.loads(read_member(tar, "rows.jsonl").splitlines()[0])
    assert line["source"] == "raw.mp4"
    assert 20 < line["face"] < 60
