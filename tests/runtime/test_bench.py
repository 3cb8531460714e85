import json

import pytest

from dagan.cli.main import main
from dagan.models.weights import load, save_model
from dagan.runtime import agreement
from dagan.runtime.bench import time_engines
from dagan.runtime.engine import Choice


@pytest.fixture(autouse=True)
def _pytorch_alone(monkeypatch):
    """Compiling takes seconds; `test_engines.py` does that."""
    monkeypatch.setattr("dagan.runtime.choice.is_installed", lambda *packages: not packages)
    monkeypatch.setattr("dagan.runtime.choice.has_native", lambda precision: precision == "fp32")
    monkeypatch.setattr(agreement, "HEADS", [100])


@pytest.fixture
def file(tmp_path, tiny_model, tiny_config):
    save_model(tmp_path / "model.safetensors", tiny_model, tiny_config)
    return tmp_path / "model.safetensors"


def test_each_engine_is_timed_and_compared(tiny_model):
    (timing,) = time_engines(tiny_model, [Choice("torch", "fp32")], 64, num_rounds=1, num_frames=2)
    assert str(timing.engine) == "PyTorch fp32"
    assert timing.milliseconds > 0
    assert timing.agreement > 80


def test_the_command_prints_a_line_for_each_engine_and_what_animate_uses(file, capsys):
    assert main(["bench", str(file), "--size", "64", "--rounds", "1", "--frames", "2", "--threads", "1"]) == 0
    header, row, last = capsys.readouterr().out.splitlines()
    assert header.split() == ["engine", "ms/frame", "frames/s", "ready", "s", "agreement"]
    assert row.startswith("PyTorch fp32 ")
    assert last == "`dagan animate` uses PyTorch fp32"


def test_json_has_the_same_numbers(file, capsys):
    assert main(["bench", str(file), "--size", "64", "--rounds", "1", "--frames", "2", "--json"]) == 0
    (engine,) = json.loads(capsys.readouterr().out)["engines"]
    assert engine.keys() == {"engine", "milliseconds", "ready", "agreement"}


def test_a_measured_agreement_is_stored_in_the_model_file(file, monkeypatch, capsys):
    monkeypatch.setattr(
        "dagan.runtime.agreement.measure_agreement", lambda model: {"int8": agreement.Agreement(45, 40)}
    )
    assert main(["bench", str(file), "--size", "64", "--rounds", "1", "--frames", "1", "--store"]) == 0
    assert "int8: 45.0 dB to float32 on drawn heads, 40.0 at the least" in capsys.readouterr().out
    assert load(file).agreement["int8"].median == 45


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--size", "50"], "--size is 50; expected a multiple of 32"),
        (["--rounds", "0"], "at least 1"),
        (["--store"], "give MODEL"),
        (["absent.safetensors"], "model file not found"),
    ],
)
def test_what_cannot_be_measured_is_said(words, said, capsys):
    assert main(["bench", *words]) == 2
    assert said in capsys.readouterr().err
