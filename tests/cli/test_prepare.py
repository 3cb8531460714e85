"""`dagan prepare` on drawn people, whom a drawn detector and a drawn face reader see."""

import json
from contextlib import contextmanager
from pathlib import Path

import pytest

from dagan.cli.main import main
from dagan.data.clips import find_clips
from dagan.data.opening import open_clips
from drawn_raw import DrawnDetector, DrawnFace, DrawnIdentity, drawn_raw

ANN, BOB = (100, 60, 40, "ann"), (230, 60, 40, "bob")
WORDS = ["--min-seconds", "0.6", "--min-face", "20", "--min-sharpness", "0", "--max-shake", "100", "--validation", "0"]


@pytest.fixture(autouse=True)
def _drawn(monkeypatch):
    from dagan.preparation import job, work

    @contextmanager
    def face():
        yield DrawnFace()

    monkeypatch.setattr(work, "YuNet", DrawnDetector)
    monkeypatch.setattr(work, "MediaPipeFace", face)
    monkeypatch.setattr(work, "SFace", lambda face, weights: DrawnIdentity())
    monkeypatch.setattr(job, "find_weights", lambda file, given: Path("sface.onnx"))


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    drawn_raw(folder / "one.mp4", [(25, 0, [ANN, BOB]), (20, 3, [])])
    drawn_raw(folder / "two.mp4", [(31, 5, [ANN])])
    (folder / "broken.mp4").write_bytes(b"nothing")
    return folder


def _prepare(raw, out, *words):
    return main(["prepare", str(raw), "-o", str(out), *WORDS, *words])


def _rows(out):
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def _bytes(out):
    """Everything that a run writes but its archives."""
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and "units" not in path.parts]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files if path.name != ".prepare.lock"}


def test_raw_videos_become_clips_by_person_with_landmarks_manifest_and_pages(raw, tmp_path, capsys):
    out = tmp_path / "clips"
    assert _prepare(raw, out, "--licence", "CC BY 4.0") == 0
    said = capsys.readouterr().out
    assert "3 clips of 2 people" in said
    assert "unreadable 1" in said
    rows = _rows(out)
    kept = [row for row in rows if not row["reason"]]
    assert {row["reason"] for row in rows} == {"", "no_face", "unreadable"}
    clips = find_clips(out / "train")
    assert {clip.identity for clip in clips} == {row["person"] for row in kept}
    assert {f"train/{clip.name}.mp4" for clip in clips} == {row["file"] for row in kept}
    for clip in clips:
        assert (out / "landmarks" / f"{clip.name}.npz").is_file()
    assert {row["licence"] for row in rows} == {"CC BY 4.0"}
    page = (out / "index.html").read_text()
    assert "sheets/kept.jpg" in page
    assert (out / "sheets" / "no_face.jpg").is_file()


def test_the_table_says_what_the_lines_say(raw, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    assert _prepare(raw, tmp_path / "clips") == 0
    assert parquet.read_table(tmp_path / "clips" / "manifest.parquet").to_pylist() == _rows(tmp_path / "clips")


def test_a_second_run_does_nothing_again_and_a_new_video_is_added(raw, tmp_path, capsys):
    out = tmp_path / "clips"
    assert _prepare(raw, out) == 0
    before = _bytes(out)
    assert _prepare(raw, out) == 0
    assert "3 raw videos were done before" in capsys.readouterr().out
    assert _bytes(out) == before
    drawn_raw(raw / "three.mp4", [(27, 7, [BOB])])
    assert _prepare(raw, out) == 0
    assert "4 clips of 2 people" in capsys.readouterr().out
    fresh = tmp_path / "fresh"
    assert _prepare(raw, fresh) == 0
    assert _bytes(fresh) == _bytes(out)


def test_shards_hold_the_same_clips_and_training_opens_them(raw, tmp_path):
    videos, shards = tmp_path / "videos", tmp_path / "shards"
    assert _prepare(raw, videos) == 0
    assert _prepare(raw, shards, "--store", "shards") == 0
    opened = [open_clips(folder / "train", tmp_path / "cache", 64, "seek") for folder in (videos, shards)]
    names = [sorted((clip.clip.name, clip.clip.identity, len(clip)) for clip in clips) for clips in opened]
    assert names[0] == names[1]
    assert len(names[0]) == 3


def test_other_settings_in_the_same_folder_are_refused(raw, tmp_path, capsys):
    assert _prepare(raw, tmp_path / "clips") == 0
    assert _prepare(raw, tmp_path / "clips", "--size", "512") == 2
    assert "size was 256" in capsys.readouterr().err


def test_two_runs_in_one_folder_are_refused(raw, tmp_path, capsys):
    from dagan.preparation.job import alone_in

    with alone_in(tmp_path / "clips"):
        assert _prepare(raw, tmp_path / "clips") == 2
    assert "another `dagan prepare`" in capsys.readouterr().err


def test_who_is_on_the_list_of_exclusions_is_nowhere_anymore(raw, tmp_path, capsys):
    out = tmp_path / "clips"
    assert _prepare(raw, out) == 0
    ann = next(row for row in _rows(out) if row["source"] == "two.mp4")["person"]
    (tmp_path / "out.txt").write_text(f"# asked in May\n{ann}\n")
    for words in ((), ("--store", "shards")):
        assert _prepare(raw, out, "--exclude", str(tmp_path / "out.txt"), *words) == 0
        assert [row["reason"] for row in _rows(out)].count("excluded") == 2
        assert not any(ann in path.name for path in out.rglob("*"))
        assert ann.encode() not in b"".join(_bytes(out).values())
    assert "2 clips taken out" in capsys.readouterr().out
    assert _prepare(raw, out) == 0  # also without the list
    assert len(find_clips(out / "train")) == 1


def test_a_raw_file_can_be_left_out_by_its_name(raw, tmp_path):
    (tmp_path / "out.txt").write_text("one.mp4\n")
    assert _prepare(raw, tmp_path / "clips", "--exclude", str(tmp_path / "out.txt")) == 0
    assert {row["source"] for row in _rows(tmp_path / "clips") if not row["reason"]} == {"two.mp4"}


def test_no_face_at_all_is_a_message(tmp_path, capsys):
    raw = tmp_path / "raw.mp4"
    drawn_raw(raw, [(25, 0, [])])
    assert _prepare(raw, tmp_path / "clips") == 2
    assert "no face in any of the raw videos" in capsys.readouterr().err


def test_the_protocol_takes_boxes_and_splits_from_the_list_and_writes_test_pairs_with_hashes(raw, tmp_path):
    header = "person_id,video_id,start,end,bbox,fps,width,height,partition\n"
    lines = "id1,one,0,25,80-40-160-120,25,320,180,train\nid2,two,0,31,80-40-160-120,25,320,180,test\n"
    (tmp_path / "vox.csv").write_text(header + lines)
    words = ("--list", str(tmp_path / "vox.csv"), "--protocol", "voxceleb1")
    outs = [tmp_path / "clips", tmp_path / "again"]
    for out in outs:
        assert _prepare(raw, out, *words) == 0
    assert [clip.identity for clip in find_clips(outs[0] / "test")] == ["id2"]
    rows = [row for row in _rows(outs[0]) if not row["reason"]]
    assert [(row["x"], row["y"], row["side"]) for row in rows] == [(80, 40, 80)] * 2
    pairs = (outs[0] / "test_pairs.csv").read_text()
    assert "sha256" in pairs.splitlines()[0]
    assert len(pairs.splitlines()) > 1
    assert (outs[1] / "test_pairs.csv").read_text() == pairs


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--min-seconds", "0"], "--min-seconds 0"),
        (["--protocol", "voxceleb1"], "add --list"),
        (["--list", "nothing.csv"], "no such list"),
        (["--exclude", "nothing.txt"], "no such list"),
        (["--max-shake", "nan"], "--max-shake is nan"),
        (["--max-seconds", "inf"], "--max-seconds is inf"),
        (["--validation", "0.6", "--test", "0.6"], "less than 1 together"),
    ],
    ids=lambda value: "" if isinstance(value, str) else " ".join(value),
)
def test_what_a_user_gets_wrong_is_one_line(raw, tmp_path, capsys, words, said):
    assert _prepare(raw, tmp_path / "clips", *words) == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "clips").exists()
