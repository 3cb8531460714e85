"""`dagan train`: a run on drawn clips, and what a user can get wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import dagan.nn.vgg
from dagan.cli.building import check_fit, find_depth
from dagan.cli.clips import hold_out, look_at_crops
from dagan.cli.main import main
from dagan.data.clips import Clip, ClipFrames
from dagan.errors import UserError
from dagan.losses.objective import needing_landmarks
from dagan.models.depth import FaceDepthConfig
from dagan.models.discriminator import DiscriminatorConfig
from dagan.models.talking_head import TalkingHeadConfig
from dagan.models.weights import load, load_config, save_model
from dagan.nn.vgg_files import FoundVGG
from dagan.presets import BASELINE, LITE_DEPTH, PRESETS, TRAINING, Training, with_fdn
from dagan.training.phases import Phase
from dagan.training.recipes import LITE_PHASES, RECIPES, Recipe
from media import write_video
from parts import face_clips, tiny_vgg

PORTRAIT = Path(__file__).parents[2] / "src" / "dagan" / "assets" / "astronaut.png"
TINY_JUDGE = DiscriminatorConfig(width=4, cap=8)
TINY_PHASES = (
    Phase(name="motion", steps=1, batch_size=2, image_size=32, objective=(("warped_perceptual", 1.0),)),
    Phase(
        name="picture",
        steps=2,
        batch_size=2,
        image_size=64,
        objective=(("perceptual", 1.0), ("jacobian_equivariance", 1.0), ("landmark_guidance", 1.0)),
    ),
)


TINY_RECIPE = Recipe(description="", phases=TINY_PHASES, size=64)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    (tmp_path / "clips").mkdir()
    for clip in face_clips(2):
        write_video(tmp_path / "clips" / clip.clip.path, clip.frames)
    return tmp_path / "clips"


@pytest.fixture
def depth(tmp_path: Path, tiny_config: TalkingHeadConfig) -> Path:
    assert tiny_config.depth is not None
    save_model(tmp_path / "depth.safetensors", tiny_config.depth.build(), tiny_config.depth)
    return tmp_path / "depth.safetensors"


@pytest.fixture
def dagan_train(
    tmp_path: Path, clips: Path, depth: Path, tiny_config: TalkingHeadConfig, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """Runs the command on the drawn clips with a tiny preset, recipe and perceptual network."""
    monkeypatch.setitem(PRESETS, "tiny", tiny_config)
    monkeypatch.setitem(TRAINING, "tiny", Training("", "tiny", discriminator=TINY_JUDGE))
    monkeypatch.setitem(RECIPES, "tiny", TINY_RECIPE)
    monkeypatch.setattr(dagan.nn.vgg, "load_vgg", lambda path: tiny_vgg())
    vgg = tmp_path / "vgg"
    vgg.touch()

    def run(*options: object, preset: str = "tiny", with_depth: bool = True) -> int:
        where = [str(clips), "-o", str(tmp_path / "run"), "--preset", preset]
        small = ["--workers", "0", "--device", "cpu", "--validation", "0", "--perceptual", str(vgg)]
        network = ["--depth", str(depth)] if with_depth else []
        return main(["train", *where, *small, *network, *map(str, options)])

    return run


@pytest.fixture
def refused(dagan_train: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The one line that the command says."""

    def run(*options: object, **arguments: object) -> str:
        assert dagan_train(*options, **arguments) == 2
        printed = capsys.readouterr().err
        assert printed.startswith("dagan: error: ")
        assert printed.count("\n") == 1
        return printed

    return run


def test_a_run_leaves_a_model_its_log_its_panel_and_what_it_was(
    dagan_train: Callable[..., int], tmp_path: Path, depth: Path, tiny_config: TalkingHeadConfig, capsys
) -> None:
    assert dagan_train() == 0
    printed = capsys.readouterr().out
    assert "2 clips to train on, 0 held out; 3 steps" in printed
    assert f"wrote {tmp_path / 'run' / 'model.safetensors'}" in printed
    model = load(tmp_path / "run" / "model.safetensors")
    assert load_config(tmp_path / "run" / "model.safetensors") == tiny_config
    assert model.depth is not None
    kept = model.depth.state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in load_file(depth).items())
    assert (tmp_path / "run" / "panel_0000003.png").exists()
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert any("training_l1_ratio" in line for line in lines)  # nobody is held out
    assert not any("validation_l1_ratio" in line for line in lines)
    assert "nobody is held out" in printed
    assert not (tmp_path / "run" / "best.safetensors").exists()
    assert json.loads((tmp_path / "run" / "config.json").read_text())["model"]["keypoints"]["num_keypoints"] == 5


def test_a_run_goes_on_from_the_model_of_another(dagan_train: Callable[..., int], tmp_path: Path) -> None:
    assert dagan_train("--phases", "motion") == 0
    first = tmp_path / "first.safetensors"
    (tmp_path / "run" / "model.safetensors").rename(first)
    assert dagan_train("--from", first, "-o", tmp_path / "second", "--phases", "motion", with_depth=False) == 0
    assert (tmp_path / "second" / "model.safetensors").exists()


def test_the_same_command_does_not_repeat_a_finished_run(dagan_train: Callable[..., int], tmp_path: Path) -> None:
    assert dagan_train("--phases", "motion") == 0
    log = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert dagan_train("--phases", "motion") == 0
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == log


def test_a_run_folder_of_another_configuration_is_refused_by_the_field(
    dagan_train: Callable[..., int], refused: Callable[..., str]
) -> None:
    assert dagan_train("--phases", "motion") == 0
    assert "recipe.phases[0].steps: 1 != 5" in refused("--phases", "motion", "--steps", "5")
    assert "model.motion.width: 8 != 12" in refused("--phases", "motion", "--set", "motion.width=12")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--preset", "elephant"], "unknown preset 'elephant'; known: baseline"),
        (["--recipe", "soup"], "unknown recipe 'soup'; known: lite, paper"),
        (["--phases", "motion,style"], "no phase 'style'; it has: motion, picture"),
        (["--set", "motion.width"], "--set takes FIELD=VALUE"),
        (["--set", "motion.widht=3"], "unknown setting 'motion.widht'"),
        (["--set", "motion.width=wide"], "motion.width is 'wide'"),
        (["--set", "motion.width=-8"], "no model can be built with these settings"),
        (["--set", "depth.num_layers=19"], "no ResNet-19"),
        (["--set", "depth=null"], "need a depth network"),
        (["--steps", "0"], "--steps is 0; it must be 1 or more"),
        (["--accumulate", "3"], "a batch of 2 does not split over 3 parts (--accumulate)"),
        (["--learning-rate", "0"], "--learning-rate is 0; it must be above 0"),
        (["--accumulate", "0"], "--accumulate is 0; it must be 1 or more"),
        (["--batch-size", "0"], "--batch-size is 0; it must be 1 or more"),
        (["--keep", "0"], "--keep is 0; it must be 1 or more"),
        (["--clip", "-1"], "--clip is -1; it must be 0 (no clipping) or more"),
        (["--ema", "1"], "--ema is 1.0; it must be 0 or more and below 1"),
        (["--workers", "-1"], "--workers is -1; it must be 0 or more"),
        (["--size", "100"], "--size is 100; expected a multiple of 32"),
        (["--depth", "absent.safetensors"], "not found: absent.safetensors"),
        (["--from", "absent.safetensors"], "not found: absent.safetensors"),
        (["--cache", "/proc/nothing"], "/proc/nothing"),
        (["-o", "/proc/nothing"], "/proc/nothing"),
    ],
)
def test_a_mistake_gets_one_line_and_code_2(refused: Callable[..., str], options: list[str], says: str) -> None:
    assert says in refused(*options)


def test_settings_of_the_engine_are_compared_on_resume(
    dagan_train: Callable[..., int], refused: Callable[..., str]
) -> None:
    assert dagan_train("--phases", "motion", "--no-tensorboard") == 0
    assert "step.accumulate: 1 != 2" in refused("--phases", "motion", "--accumulate", "2")


@pytest.mark.parametrize(("package", "says"), [("tensorboard", "--no-tensorboard"), ("wandb", "leave --wandb out")])
def test_a_package_for_writing_down_that_is_not_there_is_named(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch, package: str, says: str
) -> None:
    monkeypatch.setattr("dagan.cli.training.find_spec", lambda name: None if name == package else name)
    assert says in refused("--wandb", "heads")


def test_validation_has_l1_ssim_and_psnr_and_keeps_the_best_model(
    dagan_train: Callable[..., int], tmp_path: Path
) -> None:
    assert dagan_train("--panel-every", "1", "--validation", "0.6") == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    looks = [line for line in lines if "validation_l1" in line]
    assert [line["step"] for line in looks] == [1, 2, 3]
    assert all({"validation_ssim", "validation_psnr"} <= line.keys() for line in looks)
    assert load_config(tmp_path / "run" / "best.safetensors") == load_config(tmp_path / "run" / "model.safetensors")
    assert list((tmp_path / "run" / "tensorboard").glob("events.*"))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["data"]["clips"] == 2


def test_a_gpu_that_is_not_there_is_not_used(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "--device cpu" in refused("--device", "cuda")


def test_depth_is_asked_for_and_only_when_it_is_needed(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "give --depth" in refused(with_depth=False)
    monkeypatch.setitem(PRESETS, "flat", BASELINE)
    assert "leave --depth out" in refused(preset="flat")


def test_a_depth_network_of_another_shape_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    wide = FaceDepthConfig(base_width=16, decoder_widths=(4, 8, 8, 8, 8))
    save_model(tmp_path / "wide.safetensors", wide.build(), wide)
    assert "another shape" in refused("--depth", tmp_path / "wide.safetensors")


def test_a_recipe_that_the_preset_cannot_follow_says_which_can(
    refused: Callable[..., str], tiny_config: TalkingHeadConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`dagan train --preset dagan` ended in a traceback: the lite recipe needs jacobians and many keypoints."""
    monkeypatch.setitem(PRESETS, "rigid", with_fdn(BASELINE, tiny_config.depth))
    monkeypatch.setitem(TRAINING, "rigid", Training("", "tiny"))
    assert "--recipe paper" in refused(preset="rigid")
    assert "leave --landmarks out" in refused("--landmarks", tmp_path)


@pytest.mark.parametrize("phase", LITE_PHASES, ids=lambda phase: phase.name)
def test_no_phase_of_lite_alone_is_begun_with_too_few_keypoints(tiny_config: TalkingHeadConfig, phase: Phase) -> None:
    """Phases after the keypoints' have losses on them still: it was an IndexError in the first step."""
    if not needing_landmarks(dict(phase.objective)):
        check_fit(tiny_config, (phase,))
        return
    with pytest.raises(UserError, match="leave --landmarks out"):
        check_fit(tiny_config, (phase,))
    if "moved_jacobian" in dict(phase.objective):
        with pytest.raises(UserError, match="moved_jacobian needs keypoints with jacobians"):
            check_fit(BASELINE, (phase,))


def test_a_missing_or_foreign_perceptual_network_is_named(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.undo()
    save_file({"weight": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    monkeypatch.setattr("dagan.cli.building.build_model", lambda args, config: torch.nn.Identity())
    for name in ("absent.safetensors", "foreign.safetensors"):
        assert name in refused("--perceptual", tmp_path / name, preset="lite")


def test_the_perceptual_network_that_was_found_is_said_and_written_down(
    dagan_train: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = FoundVGG(tmp_path / "vgg", "in the cache")
    monkeypatch.setattr("dagan.nn.vgg_files.find_vgg", lambda choice: found if choice == "vgg19" else None)
    assert dagan_train("--perceptual", "vgg19") == 0
    assert "perceptual network: vgg (in the cache)" in capsys.readouterr().out
    assert json.loads((tmp_path / "run" / "config.json").read_text())["perceptual"]["network"] == "vgg"


def test_a_folder_without_clips_is_named(refused: Callable[..., str], clips: Path) -> None:
    for clip in clips.iterdir():
        clip.unlink()
    assert str(clips) in refused()


def test_missing_landmarks_are_named_with_what_to_do(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("dagan.cli.building.check_fit", lambda config, phases: None)
    assert "`dagan landmarks`" in refused("--landmarks", tmp_path)


def test_the_same_people_are_held_out_whatever_other_clips_there_are() -> None:
    clips = face_clips(40, num_frames=2, size=16)
    kept, held = hold_out([*clips, clips[0]], 0.3)
    held_people = {clip.clip.identity for clip in held}
    assert 4 <= len(held_people) <= 20
    assert held_people.isdisjoint(clip.clip.identity for clip in kept)
    assert len(kept) + len(held) == 41
    _, held_of_half = hold_out(clips[:20], 0.3)
    assert {clip.clip.identity for clip in held_of_half} == held_people & {clip.clip.identity for clip in clips[:20]}
    assert hold_out(clips, 0.0) == (clips, [])
    with pytest.raises(UserError, match="holds out everybody"):
        hold_out(clips, 1.0)


@pytest.mark.slow
def test_a_finished_run_is_made_longer_with_its_optimiser(
    dagan_train: Callable[..., int], refused: Callable[..., str], tmp_path: Path
) -> None:
    """Four steps are two and two more, bit for bit."""
    options = ("--phases", "picture", "--precision", "fp32")
    assert "there is no run in" in refused(*options, "--extend", "2")
    assert dagan_train(*options) == 0
    assert dagan_train(*options, "--extend", "2") == 0
    assert dagan_train(*options, "--steps", "4", "-o", tmp_path / "whole") == 0
    one, other = (load_file(tmp_path / run / "model.safetensors") for run in ("run", "whole"))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert "recipe.phases[0].steps: 4 != 2" in refused(*options)  # the run is a longer one now
    assert "steps: 4 != 3" in refused(*options, "--extend", "1")
    plain = json.loads((tmp_path / "run" / "config.json").read_text())
    assert plain["recipe"]["phases"][0]["steps"] == 4


def test_a_runs_own_config_makes_the_same_run(dagan_train: Callable[..., int], tmp_path: Path) -> None:
    assert dagan_train("--phases", "motion", "--seed", "3") == 0
    words = ["train", "-o", tmp_path / "again", "--config", tmp_path / "run" / "config.json", "--workers", "0"]
    files = ["--depth", tmp_path / "depth.safetensors", "--perceptual", tmp_path / "vgg", "--device", "cpu"]
    assert main([*map(str, [*words, *files])]) == 0
    one, other = (json.loads((tmp_path / run / "config.json").read_text()) for run in ("run", "again"))
    assert one == other
    first, second = (load_file(tmp_path / run / "model.safetensors") for run in ("run", "again"))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_the_packages_depth_network_is_used_where_it_fits(tiny_config: TalkingHeadConfig) -> None:
    bundled = find_depth(None, LITE_DEPTH, "lite")
    assert bundled.config == LITE_DEPTH
    assert tiny_config.depth is not None
    with pytest.raises(UserError, match="`dagan train-depth CLIPS -o RUN --preset dagan`"):
        find_depth(None, tiny_config.depth, "dagan")


def test_clips_that_show_no_large_face_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    portrait = Image.open(PORTRAIT).convert("RGB").crop((118, 16, 330, 228)).resize((128, 128))
    small = Image.new("RGB", (512, 512))
    small.paste(portrait.resize((96, 96)))
    shown = {"crop": portrait, "far": small, "wall": Image.new("RGB", (128, 128))}
    clips = [
        ClipFrames(np.asarray(image)[None].repeat(2, 0), Clip(Path(name), name, name)) for name, image in shown.items()
    ]
    look_at_crops(clips)
    line = capsys.readouterr().err
    assert "warning: 2 of 3 clips" in line
    assert "wall (no face)" in line
    assert "far (a face of " in line
    assert "crop (" not in line
    look_at_crops(clips[:1])
    assert capsys.readouterr().err == ""
