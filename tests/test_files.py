import pytest

from dagan.files import write_text, written_whole


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
