"""`dagan evaluate-depth`: a tiny depth network on tiny heads, and what a user can get wrong."""

import json
from pathlib import Path

import pytest
import torch

from dagan.cli.main import main
from dagan.models.depth import FaceDepthConfig
from dagan.models.pose import PoseConfig
from dagan.models.weights import save_model

TINY = FaceDepthConfig(base_width=8, decoder_widths=(4, 8, 8, 8, 8))


@pytest.fixture
def depth_file(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_model(tmp_path / "model.safetensors", TINY.build(), TINY)
    return tmp_path / "model.safetensors"


def test_it_prints_the_table_and_writes_it(
    depth_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import dagan.cli.evaluate_depth

    monkeypatch.setattr(dagan.cli.evaluate_depth, "CLIP_FRAMES", 8)
    monkeypatch.setattr(dagan.cli.evaluate_depth, "MEAN_HEADS", 2)
    pose = PoseConfig(base_width=8, head_width=8)
    save_model(tmp_path / "pose.safetensors", pose.build(), pose)
    options = ["--heads", "1", "--frames", "1", "--size", "64", "-o", str(tmp_path / "out")]
    assert main(["evaluate-depth", str(depth_file), *options]) == 0
    printed = capsys.readouterr().out
    assert "| mean head |" in printed
    assert (tmp_path / "out" / "evaluation_depth.md").read_text() == printed
    heads = json.loads((tmp_path / "out" / "evaluation_depth.json").read_text())["heads"]
    assert set(heads["depth"]) == {"F_d", "plane (best fit)", "mean head"}
    assert heads["poses"][0]["network"] > 0  # F_p was found beside F_d


def test_without_arguments_the_packages_network_is_measured_on_drawn_heads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import dagan.cli.evaluate_depth

    monkeypatch.setattr(dagan.cli.evaluate_depth, "CLIP_FRAMES", 8)
    monkeypatch.setattr(dagan.cli.evaluate_depth, "MEAN_HEADS", 2)
    monkeypatch.setenv("DAGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate-depth", "--heads", "1", "--frames", "1", "--size", "64"]) == 0
    assert "1 frames of 1 drawn heads" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate-depth", "--heads", "0"])
    assert stopped.value.code == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["missing.safetensors"], "not found"),
        (["DEPTH", "--pose", "DEPTH"], "is a face depth network alone"),
    ],
)
def test_a_mistake_gets_one_line_and_code_2(
    options: list[str], says: str, depth_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(depth_file) if word == "DEPTH" else word for word in options]
    assert main(["evaluate-depth", *words, "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
