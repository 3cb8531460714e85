"""Other people's files are read without running them, and each way they can be wrong has its own line."""

import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dagan.errors import UserError
from dagan.models.weights import read_metadata
from dagan.released.checkpoint_file import Unread, read_checkpoint

WEIGHTS = {"generator": {"a": torch.arange(3000.0)}, "epoch": 3}


class Toucher:
    """Unpickled without care, makes a file."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


def malicious(folder: Path, form: str) -> Path:
    path, content = folder / "evil.pth", WEIGHTS | {"x": Toucher(folder / "was_run")}
    if form.startswith("protocol"):
        path.write_bytes(pickle.dumps({"x": Toucher(folder / "was_run")}, protocol=int(form[-1])))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    return path


FORMS = ["zip", "legacy", *(f"protocol {number}" for number in range(pickle.HIGHEST_PROTOCOL + 1))]


def refused(path: Path) -> str:
    before = sorted(path.parent.iterdir())
    with pytest.raises(UserError) as error:
        read_checkpoint(path)
    assert sorted(path.parent.iterdir()) == before
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("form", FORMS)
def test_a_checkpoint_that_would_run_code_is_refused_and_runs_nothing(form, tmp_path):
    path = malicious(tmp_path, form)
    line = refused(path)
    assert "would run code" in line
    assert "system" in line
    assert not (tmp_path / "was_run").exists()


def test_the_malicious_checkpoint_is_one(tmp_path):
    path = malicious(tmp_path, "protocol 4")
    pickle.loads(path.read_bytes())
    assert (tmp_path / "was_run").exists()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_checkpoint_is_read_whole(zipped, tmp_path):
    torch.save(WEIGHTS, tmp_path / "good.pth", _use_new_zipfile_serialization=zipped)
    content = read_checkpoint(tmp_path / "good.pth")
    assert content["epoch"] == 3
    assert torch.equal(content["generator"]["a"], WEIGHTS["generator"]["a"])


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("part", [0.001, 0.01, 0.1, 0.5, 0.99])
def test_a_truncated_checkpoint_is_said_to_be_truncated(zipped, part, tmp_path):
    path = tmp_path / "cut.pth"
    torch.save(WEIGHTS, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    assert "truncated" in refused(path)


def test_a_zip_file_whose_end_points_to_another_disk_is_truncated(tmp_path):
    path = tmp_path / "a.pth"
    torch.save({"a": torch.ones(3)}, path)
    content = path.read_bytes()
    end = content.rindex(b"PK\5\6")
    locator = b"PK\6\7" + b"\xff" * 16  # of a zip64 end that should lie on disk 2 ** 32
    path.write_bytes(content[:end] + locator + content[end:])
    with pytest.raises(UserError, match="is truncated"):
        read_checkpoint(path)


def test_a_git_lfs_pointer_says_how_to_get_the_file(tmp_path):
    (tmp_path / "a.pth").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0a\nsize 250\n")
    assert "git lfs pull" in refused(tmp_path / "a.pth")


@pytest.mark.parametrize("start", ["<!DOCTYPE html><html>", "\n  <html lang='en'>", "\ufeff<!doctype HTML>"])
def test_an_html_page_is_said_to_be_one(start, tmp_path):
    (tmp_path / "a.pth").write_text(f"{start}<body>Quota exceeded</body></html>", encoding="utf-8")
    assert "HTML page" in refused(tmp_path / "a.pth")


def test_other_files_are_told_apart(tmp_path):
    path = tmp_path / "a.pth"
    path.write_bytes(b"")
    assert "empty" in refused(path)
    path.write_bytes(bytes(range(200, 256)) * 9)
    assert "not a PyTorch checkpoint" in refused(path)
    save_file({"a": torch.zeros(2)}, path)
    assert "is a safetensors file" in refused(path)
    torch.save([1, 2], path)
    assert "holds a list" in refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "truncated or damaged" in refused(path)


def test_what_is_not_a_file_is_said(tmp_path):
    assert "no such file" in refused(tmp_path / "absent.pth")
    (tmp_path / "folder").mkdir()
    assert "not a file" in refused(tmp_path / "folder")


def test_an_object_that_is_no_plain_tensor_is_refused_by_name(tmp_path):
    torch.save({"module": torch.nn.Linear(1, 1)}, tmp_path / "a.pth")
    assert "Linear" in refused(tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!doctype html><html></html>", "HTML page"),
        (b"\x80\x02}q\x00.", "dagan import"),
        (b"", "empty"),
    ],
)
def test_a_model_file_that_is_none_says_what_to_do(content, remedy, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=remedy):
        read_metadata(tmp_path / "model.safetensors")


NUMPY_VALUES = {
    "loss": np.float64(0.25),
    "epoch": np.int64(3),
    "done": np.bool_(True),
    "name": np.str_("run"),
    "curve": np.arange(5.0),
    "options": np.array([1, "a"], dtype=object),
}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", NUMPY_VALUES)
def test_a_numpy_value_beside_the_weights_is_passed_over(name, zipped, tmp_path):
    content = WEIGHTS | {"kept": {"here": NUMPY_VALUES[name]}}
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    read = read_checkpoint(tmp_path / "a.pth")
    assert read["epoch"] == 3
    assert torch.equal(read["generator"]["a"], WEIGHTS["generator"]["a"])
    assert isinstance(read["kept"]["here"], Unread)


def test_a_numpy_value_is_passed_over_under_the_names_of_numpy_1_too(tmp_path):
    torch.save(WEIGHTS | {"loss": np.float64(0.25)}, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    content = (tmp_path / "a.pth").read_bytes()
    assert content.count(b"numpy._core.multiarray") == 1
    (tmp_path / "a.pth").write_bytes(content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert isinstance(read_checkpoint(tmp_path / "a.pth")["loss"], Unread)


def test_a_truncated_checkpoint_with_numpy_values_is_not_accused(tmp_path):
    torch.save({"loss": np.float64(0.25)} | WEIGHTS, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    content = (tmp_path / "a.pth").read_bytes()
    (tmp_path / "a.pth").write_bytes(content[: len(content) // 2])
    assert "truncated" in refused(tmp_path / "a.pth")


class Planted:
    """Asks for a function of NumPy that is not about values."""

    def __reduce__(self):
        return np.fromfile, ("/etc/hostname",)


def test_other_functions_of_numpy_are_refused(tmp_path):
    torch.save({"x": Planted()}, tmp_path / "a.pth")
    assert "fromfile" in refused(tmp_path / "a.pth")


def test_a_checkpoint_that_unpacks_to_gigabytes_is_refused_before_it_is_read(tmp_path):
    torch.save(WEIGHTS, tmp_path / "a.pth")
    with (
        zipfile.ZipFile(tmp_path / "a.pth", "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a/data/9", "w") as part,
    ):
        for _ in range(64):
            part.write(bytes(2**20))
    assert "unpacks to 67 MB" in refused(tmp_path / "a.pth")
