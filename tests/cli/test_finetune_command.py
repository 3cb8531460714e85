"""`dagan finetune`: a run on a drawn clip, and what a user can get wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import dagan.nn.vgg_files
import published
from dagan.cli.main import main
from dagan.data.drawn_faces import drawn_clip
from dagan.models.weights import load, load_config
from dagan.training.recipes import RELEASED_TUNING
from media import write_video
from parts import tiny_vgg


class TinyVGG:
    """What `find_vgg` finds."""

    def load(self) -> torch.nn.Module:
        return tiny_vgg()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "me.mp4", drawn_clip(30, 64, 0))


@pytest.fixture
def dagan_finetune(tmp_path: Path, clip: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs the command on the drawn clip, from a tiny model, with an empty cache."""
    monkeypatch.setenv("DAGAN_CACHE", str(tmp_path / "no_cache"))

    def run(*options: object, video: Path = clip) -> int:
        small = ["--size", "64", "--crop", "none", "--steps", "2", "--batch-size", "2", "--device", "cpu"]
        where = [str(video), "--from", str(model_file), "-o", str(tmp_path / "run")]
        return main(["finetune", *where, *small, *map(str, options)])

    return run


@pytest.fixture
def refused(dagan_finetune: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The one line that the command says."""

    def run(*options: object, **arguments: object) -> str:
        assert dagan_finetune(*options, **arguments) == 2
        printed = capsys.readouterr().err
        assert printed.startswith("dagan: error: ")
        assert printed.count("\n") == 1
        return printed

    return run


def test_a_run_leaves_a_better_model_that_animates_its_numbers_and_a_picture(
    dagan_finetune: Callable[..., int],
    tmp_path: Path,
    model_file: Path,
    portrait: Path,
    clip: Path,
    out: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert dagan_finetune("--steps", "8", "--learning-rate", "1e-3") == 0
    printed = capsys.readouterr().out
    run = tmp_path / "run"
    assert "training without the perceptual loss: no vgg19 or vgg16" in printed
    assert "30 frames, 23 of them to train on" in printed
    assert (run / "before_after.md").read_text() in printed
    assert "did not help" not in printed
    assert f"wrote {run / 'best.safetensors'}" in printed
    assert (run / "before_after.png").exists()
    facts = json.loads((run / "before_after.json").read_text())
    assert facts["after"]["l1"] < facts["before"]["l1"]
    start, tuned = load(model_file).state_dict(), load(run / "best.safetensors").state_dict()
    moved = {name.split(".")[0] for name, value in tuned.items() if not torch.equal(value, start[name])}
    assert moved == {"keypoints", "motion", "generator"}  # not depth
    as_they_are = ["--size", "64", "--crop", "none", "--runtime", "torch"]
    model = ["--model", str(run / "best.safetensors")]
    assert main(["animate", str(portrait), str(clip), "-o", str(out), *model, *as_they_are]) == 0
    assert out.exists()


def test_a_model_that_got_worse_is_not_kept(
    dagan_finetune: Callable[..., int], tmp_path: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dagan_finetune("--learning-rate", "10") == 0
    assert "fine-tuning did not help on the held-out frames; the model stays what it was" in capsys.readouterr().out
    best = tmp_path / "run" / "best.safetensors"
    assert load_config(best) == load_config(model_file)
    start = load(model_file).state_dict()
    assert all(torch.equal(value, start[name]) for name, value in load_file(best).items())
    assert json.loads((tmp_path / "run" / "before_after.json").read_text())["kept"] == "start"


@pytest.mark.slow
def test_a_perceptual_network_of_the_cache_is_used(
    dagan_finetune: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dagan.nn.vgg_files, "find_vgg", lambda choice=None: TinyVGG())
    assert dagan_finetune() == 0
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["perceptual"] > 0


@pytest.mark.slow
def test_a_published_model_keeps_its_own_losses(
    dagan_finetune: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    depth = published.write_published_depth(tmp_path)
    files = [published.write_published(tmp_path, "dagan"), "--depth", *depth, "-o", tmp_path / "published.safetensors"]
    assert main(["import", *map(str, files)]) == 0
    monkeypatch.setattr(dagan.nn.vgg_files, "find_vgg", lambda choice=None: TinyVGG())
    assert dagan_finetune("--from", tmp_path / "published.safetensors", "--steps", "1") == 0
    line = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    assert {"adversarial", "feature_matching", "discriminator", "keypoint_distance"} <= line.keys()
    assert line["learning_rate_generator"] == RELEASED_TUNING.phases[0].learning_rate
    assert load_config(tmp_path / "run" / "best.safetensors") == load_config(tmp_path / "published.safetensors")


def test_training_ends_when_its_minutes_are_over_and_the_same_command_does_not_train_again(
    dagan_finetune: Callable[..., int], refused: Callable[..., str], tmp_path: Path
) -> None:
    assert dagan_finetune("--steps", "1000", "--minutes", "1e-6") == 0
    kept = {path: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}
    lines = [json.loads(line) for line in kept[tmp_path / "run" / "metrics.jsonl"].splitlines()]
    assert {line["step"] for line in lines} == {1}
    assert any("validation_l1" in line for line in lines)
    assert dagan_finetune("--steps", "1000") == 0
    assert kept == {path: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}
    assert "phases[0].learning_rate" in refused("--steps", "1000", "--learning-rate", "0.5")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--from", "absent.safetensors"], "model file not found: absent.safetensors"),
        (["--perceptual", "absent.safetensors"], "perceptual network not found: absent.safetensors"),
        (["-o", "/proc/nothing"], "cannot write the run folder /proc/nothing"),
        (["--size", "100"], "--size is 100; expected a multiple of 32"),
        (["--minutes", "0"], "--minutes is 0; it must be more than 0"),
        (["--learning-rate", "-1"], "--learning-rate is -1; it must be more than 0"),
        (["--steps", "0"], "--steps is 0; it must be 1 or more"),
        (["--frames", "3"], "has 3 frames; fine-tuning needs at least 20"),
        (["--crop", "face"], "--crop takes none, auto or x,y,w,h"),
    ],
)
def test_a_mistake_gets_one_line_and_code_2(refused: Callable[..., str], options: list[str], says: str) -> None:
    assert says in refused(*options)


def test_a_clip_that_cannot_be_used_is_named(
    refused: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no such video of one person: " in refused(video=tmp_path / "absent.mp4")
    single = write_video(tmp_path / "single.mp4", drawn_clip(1, 64, 0))
    assert "single.mp4 has 1 frame; fine-tuning needs at least 20" in refused(video=single)
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    assert "not a video" in refused(video=text)
    grey = write_video(tmp_path / "grey.mp4", np.full((25, 64, 64, 3), 128, dtype=np.uint8))
    assert f"no face found in {grey} (looked at " in refused("--crop", "auto", video=grey)
