"""`dagan train-depth`: a run on drawn clips, and what a user can get wrong."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dagan.cli.main import main
from dagan.models.pose import PoseConfig
from dagan.models.talking_head import TalkingHeadConfig
from dagan.models.weights import load_depth, load_pose, save_model
from dagan.presets import PRESETS, TRAINING, Training
from dagan.training.depth_recipes import DEPTH_RECIPES, LITE_DEPTH
from media import write_video
from parts import face_clips, write_landmarks


@pytest.fixture
def train_depth(tmp_path: Path, tiny_config: TalkingHeadConfig, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    (tmp_path / "clips").mkdir()
    for clip in face_clips(2):
        write_video(tmp_path / "clips" / clip.clip.path, clip.frames)
    phase = replace(LITE_DEPTH.phase, steps=2, batch_size=2, image_size=64, gaps=(1, 2))
    pose = PoseConfig(base_width=8, head_width=8)
    monkeypatch.setitem(PRESETS, "tiny", tiny_config)
    monkeypatch.setitem(TRAINING, "tiny", Training("", depth_recipe="tiny"))
    monkeypatch.setitem(DEPTH_RECIPES, "tiny", replace(LITE_DEPTH, phase=phase, pose=pose, size=64))

    def run(*options: object) -> int:
        where = [str(tmp_path / "clips"), "-o", str(tmp_path / "run"), "--preset", "tiny"]
        return main(["train-depth", *where, "--workers", "0", "--device", "cpu", *map(str, options)])

    return run


def test_a_run_leaves_a_depth_network_that_loads(
    train_depth: Callable[..., int], tmp_path: Path, tiny_config: TalkingHeadConfig
) -> None:
    assert train_depth() == 0
    depth = load_depth(tmp_path / "run" / "model.safetensors")
    assert depth.config == tiny_config.depth
    assert 0 < depth(torch.rand(1, 3, 64, 64)).mean() < 1
    assert (tmp_path / "run" / "panel_0000002.png").exists()
    assert train_depth() == 0  # finished: nothing to do


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--preset", "baseline"], "preset baseline has no depth network"),
        (["--steps", "0"], "--steps is 0"),
        (["--batch-size", "0"], "--batch-size is 0"),
        (["--size", "33"], "multiple of 32"),
        (["--truth", "1"], "--synthetic N"),
        (["--synthetic", "-1"], "0 or more"),
        (["--learning-rate", "0"], "--learning-rate is 0"),
        (["--order", "1"], "--landmarks DIR"),
        (["--order", "1", "--landmarks", "/nowhere"], "make them with `dagan landmarks`"),
        (["--set", "depth.num_layers=19"], "num_layers"),
        (["-o", "/proc/nothing"], "/proc/nothing"),
    ],
)
def test_a_mistake_gets_one_line_and_code_2(
    train_depth: Callable[..., int], capsys: pytest.CaptureFixture[str], options: list[str], says: str
) -> None:
    assert train_depth(*options) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("dagan: error: ")
    assert printed.count("\n") == 1
    assert says in printed


def test_a_run_folder_of_another_configuration_is_refused_by_the_field(
    train_depth: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert train_depth() == 0
    assert train_depth("--steps", "7") == 2
    assert "recipe.phase.steps: 2 != 7" in capsys.readouterr().err


def test_procedural_heads_train_alone_and_their_truth_is_a_term_of_its_own(
    train_depth: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dagan.cli.train_depth

    monkeypatch.setattr(dagan.cli.train_depth, "SYNTHETIC_FRAMES", 6)
    assert train_depth("--synthetic", "1", "--truth", "1", "--from", save_tiny_depth(tmp_path)) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines[0]["truth"] > 0
    plain = json.loads((tmp_path / "run" / "config.json").read_text())
    assert plain["recipe"]["stage"]["prior_weight"] == 0  # an F_d that is started from knows which way round a face is
    assert {"degenerate_flat_depth", "degenerate_no_motion", "degenerate_odd_focal"} <= set(lines[0])
    assert load_pose(tmp_path / "run" / "pose.safetensors").config.base_width == 8


def test_the_order_of_landmarks_is_a_term_of_its_own_and_goes_with_the_truth(
    train_depth: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dagan.cli.train_depth

    monkeypatch.setattr(dagan.cli.train_depth, "SYNTHETIC_FRAMES", 6)
    write_landmarks(tmp_path, face_clips(2))
    order = ("--order", "0.3", "--landmarks", tmp_path)
    assert train_depth("--synthetic", "1", "--truth", "1", *order) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines[0]["truth"] > 0
    assert lines[0]["order"] > 0


def save_tiny_depth(folder: Path) -> Path:
    """As the tiny preset has it."""
    config = PRESETS["tiny"].depth
    assert config is not None
    save_model(folder / "start.safetensors", config.build(), config)
    return folder / "start.safetensors"
