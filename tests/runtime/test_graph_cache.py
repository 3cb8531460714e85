import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dagan.data import weight_files
from dagan.errors import UserError
from dagan.runtime import choice as choices
from dagan.runtime.choice import build_engine
from dagan.runtime.engine import Choice
from dagan.runtime.graph_cache import SUMS, engine_folder, whole_graphs

SIDE = 64


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("DAGAN_CACHE", str(tmp_path / "cache"))
    weight_files._temporary_cache.cache_clear()
    yield tmp_path / "cache"
    weight_files._temporary_cache.cache_clear()


@pytest.fixture
def maker(tmp_path):
    """A folder, what fills it, and how often that ran."""
    folder, runs = tmp_path / "graphs", []
    folder.mkdir()

    def make():
        runs.append(None)
        (folder / "layers.xml").write_text("graph")
        (folder / "layers.bin").write_bytes(bytes(1000))

    return folder, make, runs


def compiled(folder: Path, make) -> None:
    with whole_graphs(folder, make):
        (folder / "compiled").mkdir(exist_ok=True)
        (folder / "compiled" / "1.blob").write_bytes(b"compiled")


def test_whole_graphs_are_made_once(maker):
    folder, make, runs = maker
    compiled(folder, make)
    with whole_graphs(folder, make):
        assert (folder / "compiled" / "1.blob").exists()
    assert len(runs) == 1


@pytest.mark.parametrize("name", ["layers.xml", "layers.bin", "compiled/1.blob", SUMS])
@pytest.mark.parametrize("damage", ["empty", "cut", "zeros", "gone"])
def test_damaged_graphs_are_made_again_and_a_line_says_so(maker, name, damage):
    folder, make, runs = maker
    compiled(folder, make)
    path, content = folder / name, (folder / name).read_bytes()
    path.write_bytes({"empty": b"", "cut": content[:-1], "zeros": b"\1" * len(content), "gone": b""}[damage])
    if damage == "gone":
        path.unlink()
    if damage == "gone" and name == SUMS:  # of a process that was killed
        compiled(folder, make)
    else:
        with pytest.warns(UserWarning, match="are damaged: they are made again"):
            compiled(folder, make)
    assert len(runs) == 2
    assert path.read_bytes() == content


def test_what_a_killed_process_compiled_is_not_used(maker):
    folder, make, runs = maker
    compiled(folder, make)
    (folder / "compiled" / "2.blob").write_bytes(b"half")
    with whole_graphs(folder, make):
        assert not (folder / "compiled" / "2.blob").exists()
    assert len(runs) == 1


def test_graphs_that_could_not_be_written_leave_nothing(maker):
    folder, make, _ = maker

    def full():
        make()
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"), whole_graphs(folder, full):
        pass
    assert {path.name for path in folder.iterdir()} <= {".lock"}


def test_without_a_cache_graphs_are_kept_while_the_process_lives(cache, tiny_model):
    cache.touch()
    with pytest.warns(UserWarning, match=r"cache cannot be written: nothing is kept .* DAGAN_CACHE"):
        folder = engine_folder("openvino", "1", tiny_model, SIDE)
    assert folder.is_dir()
    assert cache not in folder.parents
    assert engine_folder("openvino", "1", tiny_model, SIDE) == folder


def test_a_part_of_the_cache_that_cannot_be_written_is_as_no_cache(cache, tiny_model):
    cache.mkdir()
    (cache / "openvino").touch()
    with pytest.warns(UserWarning, match="cannot be written"):
        assert engine_folder("openvino", "1", tiny_model, SIDE).is_dir()


NO_HOME = """
from dagan.data.weight_files import working_folder
print(working_folder("a", "b"))
"""


def test_without_a_home_the_folder_goes_with_the_process():
    environment = {name: value for name, value in os.environ.items() if name not in ("XDG_CACHE_HOME", "DAGAN_CACHE")}
    environment["HOME"] = os.devnull + "/nobody"
    words = [sys.executable, "-c", NO_HOME]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr.count("nothing is kept for the next run") == 1
    assert not Path(done.stdout.strip()).parents[1].exists()


@pytest.fixture
def scene(tiny_model):
    with torch.inference_mode():
        yield tiny_model, tiny_model.encode(tiny_model.view(torch.rand(1, 3, SIDE, SIDE)))


@pytest.fixture
def broken(monkeypatch):
    """OpenVINO is the fastest, and does not compile."""

    def fails(*_):
        raise RuntimeError("Exception from src/core.cpp:1\nno such primitive")

    monkeypatch.setitem(choices.ENGINES, "openvino", fails)
    monkeypatch.setattr(choices, "is_installed", lambda *_: True)
    monkeypatch.setattr(choices, "FASTEST_FIRST", (Choice("openvino", "fp32"), Choice("torch", "fp32")))


def test_an_engine_that_fails_to_compile_is_replaced_by_pytorch(scene, broken):
    with pytest.warns(UserWarning, match=r"^OpenVINO fp32 cannot compute .*: PyTorch fp32 is used") as said:
        assert build_engine(*scene).name == "torch"
    assert "\n" not in str(said[0].message)


def test_an_engine_asked_for_by_name_is_not_replaced(scene, broken):
    with pytest.raises(UserError, match=r"OpenVINO fp32 cannot compute this model here .*use --runtime torch"):
        build_engine(*scene, "openvino")


@pytest.mark.slow
def test_openvino_survives_damaged_files_in_its_cache(scene, cache):
    pytest.importorskip("openvino")
    model, source = scene
    first = build_engine(model, source, "openvino", "fp32").layers(source.keypoints)
    for kind in ("layers.xml", "layers.bin", "*.blob"):
        path = next((cache / "openvino").rglob(kind))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.warns(UserWarning, match="are damaged"):
            engine = build_engine(model, source, "openvino", "fp32")
        torch.testing.assert_close(engine.layers(source.keypoints), first)
