"""What a training run would be: --plan shows it, without training, for presets, --set, --config, --from and plugins."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from dagan.cli.main import main
from dagan.config import from_plain, to_plain
from dagan.losses.objective import PAPER_OBJECTIVE, TERMS
from dagan.models.discriminator import DiscriminatorConfig
from dagan.models.talking_head import TalkingHeadConfig
from dagan.models.weights import save_model
from dagan.presets import LITE_DISCRIMINATOR, PRESETS, RELEASED_DISCRIMINATORS, TRAINING
from dagan.training.depth_recipes import PAPER_DEPTH
from dagan.training.recipes import RECIPES, Recipe
from media import write_video
from parts import face_clips

Planned = Callable[..., dict[str, Any]]


@pytest.fixture
def planned(capsys: pytest.CaptureFixture[str]) -> Planned:
    """What `dagan train --plan` prints."""

    def run(*options: object, command: str = "train") -> dict[str, Any]:
        assert main([command, "--plan", *map(str, options)]) == 0, capsys.readouterr().err
        plain: dict[str, Any] = json.loads(capsys.readouterr().out)
        return plain

    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(*options: object, command: str = "train") -> str:
        assert main([command, "--plan", *map(str, options)]) == 2
        return capsys.readouterr().err

    return run


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Three clips of two people."""
    (tmp_path / "clips").mkdir()
    for clip in face_clips(2):
        write_video(tmp_path / "clips" / clip.clip.path, clip.frames)
    write_video(tmp_path / "clips" / "p0__1.mp4", clip.frames)
    return tmp_path / "clips"


def recipe_of(plain: dict[str, Any]) -> Recipe:
    return from_plain(Recipe, plain["recipe"])


@pytest.mark.parametrize("name", ["dagan", "fomm", "dagan_released", "fomm_released", "lite_fomm"])
def test_a_preset_brings_its_own_recipe_and_discriminator(planned: Planned, name: str) -> None:
    """dagan_released was trained by lite's recipe, without a discriminator; fomm without its jacobian term."""
    plain = planned("--preset", name)
    assert recipe_of(plain) == RECIPES[TRAINING[name].recipe]
    judge = from_plain(DiscriminatorConfig, plain["discriminator"])
    own = {"dagan": DiscriminatorConfig(), "fomm": DiscriminatorConfig(spectral=True), "lite_fomm": LITE_DISCRIMINATOR}
    assert judge == {**RELEASED_DISCRIMINATORS, **own}[name]
    terms = dict(recipe_of(plain).phases[0].objective)
    assert (terms.get("jacobian_equivariance") == 10.0) == (name != "dagan")


def test_the_papers_presets_train_as_sec_3_says(planned: Planned) -> None:
    recipe = recipe_of(planned("--preset", "dagan"))
    assert recipe.phases[0].objective == PAPER_OBJECTIVE
    assert (recipe.repeats, recipe.perceptual_side, recipe.size) == (75, 0, 256)
    depth = planned("--preset", "dagan", command="train-depth")
    assert depth["recipe"] == json.loads(json.dumps(to_plain(PAPER_DEPTH)))
    assert planned("--preset", "lite", command="train-depth")["recipe"]["stage"]["align"]


def test_epochs_become_steps_when_the_clips_are_known(planned: Planned, clips: Path, tmp_path: Path) -> None:
    plain = planned(clips, "--preset", "dagan", "--validation", "0")
    assert recipe_of(plain).phases[0].steps == 150 * 75 * 2 // 32
    short = planned(clips, "--preset", "dagan", "--validation", "0", "--epochs", "4", "--batch-size", "3")
    assert recipe_of(short).phases[0].steps == 4 * 75 * 2 // 3
    depth = planned(clips, "--preset", "dagan", command="train-depth")
    assert depth["recipe"]["phase"]["steps"] == 20 * 75 * 2 // 12
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clips"]  # nothing is written


def test_settings_reach_every_part_of_a_run(planned: Planned) -> None:
    settings = {
        "generator.width": "32",
        "discriminator.width": "48",
        "recipe.repeats": "7",
        "augmentation.flip": "0",
        "phases.motion.learning_rate": "0.5",
        "phases.full_size.objective.perceptual": "3",
        "objective.reconstruction": "11",
        "objective.keypoint_consistency": "0",
        "objective.keypoint_distance": "2",
    }
    plain = planned(*(word for name, value in settings.items() for word in ("--set", f"{name}={value}")))
    recipe = recipe_of(plain)
    phases = {phase.name: phase for phase in recipe.phases}
    assert plain["model"]["generator"]["width"] == 32
    assert plain["discriminator"]["width"] == 48
    assert (recipe.repeats, recipe.augmentation and recipe.augmentation.flip) == (7, 0)
    assert phases["motion"].learning_rate == 0.5
    assert dict(phases["full_size"].objective)["perceptual"] == 3
    assert dict(phases["half_size"].objective)["perceptual"] == 10
    assert dict(phases["half_size"].objective)["reconstruction"] == 11
    assert "reconstruction" not in dict(phases["motion"].objective)
    assert all("keypoint_consistency" not in dict(phase.objective) for phase in recipe.phases)
    assert all(dict(phase.objective)["keypoint_distance"] == 2 for phase in recipe.phases)
    depth = planned("--set", "stage.alpha=0.5", "--set", "phases.depth.batch_size=3", command="train-depth")
    assert (depth["recipe"]["stage"]["alpha"], depth["recipe"]["phase"]["batch_size"]) == (0.5, 3)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("objective.beauty=1", "unknown loss term 'beauty'; known: perceptual"),
        ("objective.perceptual=high", "expected a weight"),
        ("phases.last.steps=3", "the recipe's phases are: "),
        ("recipe.repeat=3", "unknown setting 'repeat'"),
        ("augmentation.flip=often", "expected a number"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(refused: Callable[..., str], setting: str, says: str) -> None:
    assert says in refused("--set", setting)


def test_size_is_the_side_of_the_training_images(planned: Planned) -> None:
    """--size only decoded: phases were at their own size whatever it was."""
    sizes = [phase.image_size for phase in recipe_of(planned("--size", "512", "--landmarks", "any")).phases]
    assert sizes == [256, 256, 256, 512]
    assert [phase.image_size for phase in recipe_of(planned("--preset", "lite_dagan")).phases] == [128]
    assert planned("--size", "512", command="train-depth")["recipe"]["phase"]["image_size"] == 256


def test_without_landmarks_a_line_says_what_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--plan"]) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    for part in ("phase keypoints", "the face's part", "landmark_guidance", "reenacted_openings"):
        assert part in line
    assert main(["train", "--plan", "--landmarks", "any"]) == 0
    assert "left out" not in capsys.readouterr().err
    assert main(["train", "--plan", "--phases", "keypoints"]) == 2
    assert "phase keypoints needs landmarks" in capsys.readouterr().err


def test_a_plan_is_a_config_and_options_beside_it_win(planned: Planned, tmp_path: Path) -> None:
    first = planned("--preset", "fomm", "--set", "motion.width=32", "--seed", "3", "--accumulate", "2", "--epochs", "2")
    (tmp_path / "run.json").write_text(json.dumps(first))
    assert planned("--config", tmp_path / "run.json") == first
    again = planned("--config", tmp_path / "run.json", "--seed", "4", "--set", "objective.perceptual=1")
    assert (again["seed"], again["step"]["accumulate"]) == (4, 2)
    assert dict(recipe_of(again).phases[0].objective)["perceptual"] == 1
    assert planned("--config", tmp_path / "run.json", "--preset", "dagan")["model"] == to_plain(PRESETS["dagan"])
    depth = planned("--preset", "dagan", "--steps", "5", command="train-depth")
    (tmp_path / "depth.json").write_text(json.dumps(depth))
    assert planned("--config", tmp_path / "depth.json", command="train-depth") == depth


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is not JSON"),
        ("[]", "not a JSON object"),
        ('{"sead": 1}', "has 'sead'"),
        ('{"seed": "x"}', "seed is 'x'"),
    ],
)
def test_a_config_that_cannot_be_read_is_refused(
    refused: Callable[..., str], tmp_path: Path, content: str, says: str
) -> None:
    (tmp_path / "run.json").write_text(content)
    assert says in refused("--config", tmp_path / "run.json")


def test_from_refuses_a_preset_and_settings_that_its_model_does_not_have(
    planned: Planned, refused: Callable[..., str], tmp_path: Path, tiny_config: TalkingHeadConfig, monkeypatch
) -> None:
    """Both were ignored."""
    save_model(tmp_path / "tiny.safetensors", tiny_config.build(), tiny_config)
    start = ("--from", tmp_path / "tiny.safetensors")
    assert "is no known preset; give --recipe" in refused(*start)
    assert "depth.base_width: 8 != 32" in refused(*start, "--preset", "lite")
    assert "motion.width: 8 != 12" in refused(*start, "--recipe", "paper", "--set", "motion.width=12")
    monkeypatch.setitem(PRESETS, "tiny", tiny_config)
    monkeypatch.setitem(TRAINING, "tiny", TRAINING["dagan"]._replace(recipe="fomm"))
    plain = planned(*start, "--set", "motion.width=8")
    assert (plain["preset"], plain["model"]) == ("tiny", to_plain(tiny_config))
    assert recipe_of(plain) == RECIPES["fomm"]


PLUGIN = """
from dataclasses import replace
from dagan.losses.objective import RENDERED, Term
from dagan.presets import LITE_TABLE_4, Training
from dagan.training.recipes import TABLE_4, of_objective

TERMS = {"sharpness": Term(lambda values: values.rendering.generated.diff(dim=3).abs().mean(), RENDERED)}
RECIPES = {"sharp": of_objective(TABLE_4, (("perceptual", 10.0), ("sharpness", 5.0)), "sharper")}
PRESETS = {"mine": replace(LITE_TABLE_4["baseline"], motion=replace(LITE_TABLE_4["baseline"].motion, width=24))}
TRAINING = {"mine": Training("narrow and sharp", "sharp")}
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module of the user's in the current folder; the tables are as before when the test ends."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "study_of_tests.py").write_text(PLUGIN)
    with ExitStack() as stack:
        for table in (TERMS, RECIPES, PRESETS, TRAINING):
            stack.enter_context(patch.dict(table))  # type: ignore[arg-type]
        yield "study_of_tests"


def test_a_plugin_brings_presets_recipes_and_terms(
    planned: Planned, refused: Callable[..., str], plugin: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "unknown preset 'mine'" in refused("--preset", "mine")
    plain = planned("--plugin", plugin, "--preset", "mine", "--set", "phases.all.objective.sharpness=7")
    assert plain["model"]["motion"]["width"] == 24
    assert dict(recipe_of(plain).phases[0].objective) == {"perceptual": 10.0, "sharpness": 7.0}
    assert main(["config", "list", "--plugin", plugin]) == 0
    assert "narrow and sharp" in capsys.readouterr().out
    (tmp_path / "other.py").write_text("PRESETS = {'lite': 3}")
    assert "PRESETS already has 'lite'" in refused("--plugin", "other")
    (tmp_path / "broken.py").write_text("1 / 0")
    assert "ZeroDivisionError" in refused("--plugin", "broken")
    assert "no such module" in refused("--plugin", "absent_study")
    (tmp_path / "nothing.py").write_text("")
    assert "has none of PRESETS" in refused("--plugin", "nothing")
