"""A run folder explains itself."""

import json
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from dagan.errors import UserError
from dagan.training import run_folder
from dagan.training.run_folder import fingerprint, git_commit, prepare_folder, record_start


def test_a_run_folder_is_made_with_its_parents_and_holds_only_its_lock(tmp_path: Path) -> None:
    prepare_folder(tmp_path / "runs" / "first")
    assert [path.name for path in (tmp_path / "runs" / "first").iterdir()] == [run_folder.LOCK]
    prepare_folder(tmp_path / "runs" / "first")


def test_a_folder_in_which_another_process_trains_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_folder, "PATIENCE", 0.0)
    with (
        FileLock(tmp_path / run_folder.LOCK, is_singleton=False),
        pytest.raises(UserError, match=f"another process trains in {tmp_path}; wait for it, or give another folder"),
    ):
        prepare_folder(tmp_path)


def test_the_lock_of_a_process_that_is_gone_does_not_block(tmp_path: Path) -> None:
    (tmp_path / run_folder.LOCK).touch()
    prepare_folder(tmp_path)


def test_a_run_holds_its_folder(tmp_path: Path) -> None:
    prepare_folder(tmp_path)
    with pytest.raises(Timeout):
        FileLock(tmp_path / run_folder.LOCK, is_singleton=False).acquire(timeout=0)


@pytest.mark.parametrize("content", ["", "\0" * 40, "[]", '{"starts": [1], "data": null}'])
def test_a_damaged_run_json_begins_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / run_folder.RUN_FILE).write_text(content)
    start = {"step": 7, "dagan": "0.1", "commit": "a"}
    with pytest.warns(UserWarning, match=r"run.json is damaged: it begins anew"):
        record_start(tmp_path, start, {"clips": 1})
    assert json.loads((tmp_path / run_folder.RUN_FILE).read_text()) == {"data": {"clips": 1}, "starts": [start]}


def test_a_run_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(UserError, match=str(folder)):
            prepare_folder(folder)


def test_a_fingerprint_changes_with_names_and_sizes_and_not_with_the_order(tmp_path: Path) -> None:
    video, frames = tmp_path / "a.mp4", tmp_path / "b"
    video.write_bytes(b"12345")
    frames.mkdir()
    (frames / "0.png").touch()
    first = fingerprint([video, frames])
    assert (first["clips"], first["size"]) == (2, 6)
    assert fingerprint([frames, video]) == first
    (frames / "1.png").touch()
    grown = fingerprint([video, frames])
    video.rename(tmp_path / "c.mp4")
    renamed = fingerprint([tmp_path / "c.mp4", frames])
    assert len({value["sha256"] for value in (first, grown, renamed)}) == 3


def test_the_commit_is_that_of_the_repository_and_says_when_files_differ(tmp_path: Path) -> None:
    assert git_commit(tmp_path) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e@x"]
    (tmp_path / "file").write_text("one")
    for words in (["init", "-q"], ["add", "file"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    commit = git_commit(tmp_path)
    assert commit is not None
    assert len(commit) == 40
    (tmp_path / "file").write_text("two")
    assert git_commit(tmp_path) == f"{commit}-dirty"
    (tmp_path / "site-packages").mkdir()
    assert git_commit(tmp_path / "site-packages") is None


def test_going_on_with_other_code_is_warned_about(tmp_path: Path) -> None:
    start = {"step": 0, "dagan": "0.1", "commit": "a"}
    record_start(tmp_path, start, None)
    record_start(tmp_path, {**start, "step": 5}, None)
    with pytest.warns(UserWarning, match="goes on with other code"):
        record_start(tmp_path, {**start, "commit": "b"}, None)
