import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dagan.errors import UserError
from dagan.files import (
    check_folder,
    check_given,
    check_output,
    check_place,
    remove_leftovers,
    write_text,
    written_whole,
)
from media import disk_full_after


def test_a_file_takes_its_name_when_all_is_written(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "old")
    with written_whole(target) as partial:
        partial.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def write_half(path):
    path.write_text("half")
    path.with_name("missing").read_text()


def test_what_fails_halfway_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "old")
    with pytest.raises(FileNotFoundError), written_whole(target) as partial:
        write_half(partial)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("writes", [lambda file: file.write(b"x" * 1000), lambda file: np.zeros(1000).tofile(file)])
def test_a_full_disk_is_one_line_that_names_the_file(tmp_path, writes):
    def fill(path):
        with written_whole(path) as partial, partial.open("wb", buffering=0) as file:
            writes(file)
            writes(file)

    with disk_full_after(100), pytest.raises(UserError, match=r"no space left to write .*a\.npy; make room"):
        fill(tmp_path / "a.npy")
    assert not list(tmp_path.iterdir())


def test_an_output_that_is_an_input_is_refused_also_through_links(tmp_path):
    given = tmp_path / "own.jpg"
    given.write_text("photo")
    (tmp_path / "soft.jpg").symlink_to(given)
    (tmp_path / "hard.jpg").hardlink_to(given)
    (tmp_path / "folder").mkdir()
    for output in (given, tmp_path / "soft.jpg", tmp_path / "hard.jpg", tmp_path / "folder" / ".." / "own.jpg"):
        with pytest.raises(UserError, match=r"would replace the input .*own\.jpg"):
            check_output(output, [tmp_path / "folder", given])
    with pytest.raises(UserError, match="would replace"):
        check_output(tmp_path / "folder", [tmp_path / "folder"])


def test_an_output_that_is_no_input_is_taken(tmp_path):
    (tmp_path / "own.jpg").write_text("photo")
    (tmp_path / "old.jpg").write_text("photo")
    for output in ("new.jpg", "old.jpg"):
        check_output(tmp_path / output, [tmp_path / "own.jpg", tmp_path / "absent.jpg"])


KILLED = (
    "import pathlib, sys, os; from dagan.files import written_whole\nwith written_whole(pathlib.Path(sys.argv[1])): "
)


def killed_while_writing(target):
    subprocess.run([sys.executable, "-c", KILLED + "os.kill(os.getpid(), 9)", str(target)], check=False)


def test_what_a_killed_process_left_is_removed_by_the_next_with_the_same_name(tmp_path):
    target = tmp_path / "a.txt"
    killed_while_writing(target)
    killed_while_writing(tmp_path / "a.txt.txt")
    assert len(list(tmp_path.iterdir())) == 2
    write_text(target, "new")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".a.txt.txt")]  # another file's
    assert len(list(tmp_path.iterdir())) == 2


def test_what_a_living_process_writes_is_not_taken_for_a_leftover(tmp_path):
    target = tmp_path / "a.txt"
    with written_whole(target) as partial:
        partial.write_text("slow")
        write_text(target, "quick")
        remove_leftovers(target)
    assert target.read_text() == "slow"


@pytest.mark.parametrize("name", ["a" * 255, "ü" * 127, "a" * 251 + ".mp4", os.fsdecode(b"\xe9" * 250)])
def test_a_name_may_be_as_long_as_names_can_be(tmp_path, name):
    write_text(tmp_path / name, "new")
    killed_while_writing(tmp_path / name)
    write_text(tmp_path / name, "newer")
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("folder", "the output is a folder: .*folder; give the name of a file"),
        ("absent/a.txt", "no such folder: .*absent; make it first, or choose another --report"),
        ("n" * 256, "the name for --report has over 255 bytes"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_early(tmp_path, name, said):
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=said):
        check_place(tmp_path / name, "--report")
    check_place(tmp_path / "a.txt")


def test_a_folder_does_not_become_a_file(tmp_path):
    with pytest.raises(UserError, match="the output is a folder"):
        write_text(tmp_path, "text")
    assert not list(tmp_path.parent.glob(".*.partial"))


def test_an_input_that_is_missing_or_a_folder_is_named(tmp_path):
    with pytest.raises(UserError, match="is a folder; give a photo"):
        check_given(tmp_path, "photo")
    with pytest.raises(UserError, match="no such photo: absent"):
        check_given(Path("absent"), "photo")


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path):
    check_folder(tmp_path)
    check_folder(tmp_path / "new")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"the output is a file: .*file; give a folder"):
        check_folder(tmp_path / "file")
