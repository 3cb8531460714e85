import pytest

from dagan.errors import UserError
from dagan.files import check_output, write_text, written_whole


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
