"""The pages about training, followed word by word: their commands run, on tiny networks and a few drawn frames."""

import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, redirect_stdout
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image

from dagan.cli.main import main
from dagan.losses.objective import TERMS
from dagan.models.pose import PoseConfig
from dagan.nn.vgg_files import FoundVGG
from dagan.presets import PRESETS, TRAINING
from dagan.training.depth_recipes import DEPTH_RECIPES
from dagan.training.recipes import RECIPES
from media import write_video
from parts import face_clips, narrowed, tiny_vgg

DOCS = Path(__file__).parents[1] / "docs"
PORTRAIT = Path(__file__).parents[1] / "src" / "dagan" / "assets" / "astronaut.png"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
QUICK = {
    "train": "--threads 1 --workers 0 --device cpu --no-tensorboard --size 64 --batch-size 2 --steps 2",
    "train-depth": "--threads 1 --workers 0 --device cpu --no-tensorboard --size 64 --batch-size 2 --steps 2",
    "evaluate": "--pairs-per-clip 1 --identity none --lpips none --size 64",
    "animate": "--size 64",
}


def commands_of(page: str) -> list[list[str]]:
    """The `dagan` commands in a page's shell blocks, those that torchrun starts too, as words."""
    blocks = [text.replace("\\\n", " ") for kind, text in BLOCK.findall((DOCS / page).read_text()) if kind == "sh"]
    lines = [line.split("#")[0] for text in blocks for line in text.splitlines()]
    found = [re.search(r"(?:^|-m )dagan (.*)", line) for line in lines]
    return [shlex.split(match[1]) for match in found if match]


def module_of(page: str) -> str:
    """The page's Python module."""
    (text,) = [text for kind, text in BLOCK.findall((DOCS / page).read_text()) if kind == "python"]
    return text


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with CLIPS, TEST_CLIPS, a photo and a driver, where presets are narrow."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dagan.nn.vgg.load_vgg", lambda path: tiny_vgg())
    monkeypatch.setattr("dagan.nn.vgg_files.find_vgg", lambda choice=None: FoundVGG(tmp_path / "vgg", "in the cache"))
    monkeypatch.setattr("dagan.data.weight_files.download", lambda wanted: tmp_path / "vgg")
    portrait = Image.open(PORTRAIT).convert("RGB").crop((118, 16, 330, 228)).resize((128, 128))
    moving = np.stack([np.roll(np.asarray(portrait), shift, axis=1) for shift in range(-9, 9)])
    for folder, people in (("CLIPS", 2), ("TEST_CLIPS", 0)):
        (tmp_path / folder).mkdir()
        for clip in face_clips(people, num_frames=30):
            write_video(tmp_path / folder / clip.clip.path, clip.frames)
    write_video(tmp_path / "TEST_CLIPS" / "ann__0.mp4", moving)
    write_video(tmp_path / "driving.mp4", moving)
    portrait.save(tmp_path / "photo.jpg")
    with ExitStack() as stack:
        for table in (PRESETS, TRAINING, RECIPES, DEPTH_RECIPES, TERMS):
            stack.enter_context(patch.dict(table))  # type: ignore[arg-type]
        narrow()
        yield tmp_path


def narrow() -> None:
    for name, config in PRESETS.items():
        PRESETS[name] = narrowed(config)
    for name, brings in TRAINING.items():
        judge = replace(brings.discriminator, width=4, cap=8)
        TRAINING[name] = brings._replace(discriminator=judge)
    for name, recipe in DEPTH_RECIPES.items():
        DEPTH_RECIPES[name] = replace(recipe, pose=PoseConfig(base_width=8, head_width=8))


def follow(words: list[str]) -> None:
    """The command as the page has it, with options that make it quick; --plan is kept short by itself."""
    command = words[0]
    assert main([*words, *QUICK.get(command, "").split()]) == 0, shlex.join(words)


@pytest.mark.slow
def test_the_paper_is_trained_by_following_its_page(workplace: Path) -> None:
    commands = commands_of("train_paper.md")
    assert [words[0] for words in commands[:5]] == ["fetch", "train-depth", "train", "evaluate", "animate"]
    for words in commands:
        follow(["2" if word == "1000" else word for word in words])  # steps of --extend
    assert (workplace / "runs" / "dagan" / "self" / "evaluation.json").is_file()
    assert (workplace / "out.mp4").is_file()


@pytest.mark.slow
def test_own_presets_and_losses_are_trained_by_following_the_page(workplace: Path) -> None:
    (workplace / "my_study.py").write_text(module_of("own_training.md"))
    plans, trained = 0, 0
    for words in commands_of("own_training.md"):
        if words[-2] == ">":
            with (workplace / words[-1]).open("w") as file, redirect_stdout(file):
                assert main(words[:-2]) == 0
        elif words[0] in ("train", "train-depth") and "my_study" not in words:
            assert main([words[0], "--plan", *words[1:]]) == 0, shlex.join(words)
            plans += 1
        elif words[0] == "train" and "my_study" in words:
            follow(words)
            trained += 1
        elif words[0] == "config":
            assert main(words) == 0
    assert plans >= 4
    assert trained == 1
    assert (workplace / "runs" / "mine" / "model.safetensors").is_file()


def test_the_table_of_recipes_is_the_recipes() -> None:
    text = (DOCS / "own_training.md").read_text()
    rows = {cells[1]: cells for line in text.splitlines() if (cells := line.split("|"))[0] == "" and len(cells) == 7}
    names = " ".join(rows)
    for name, recipe in RECIPES.items():
        (row,) = [row for label, row in rows.items() if f"`{name}`" in label and "stage 1" not in label]
        for phase in recipe.phases:
            assert phase.name in row[2]
            assert str(phase.steps or phase.epochs) in row[2]
            assert str(phase.batch_size) in row[3]
            assert str(phase.image_size) in row[3]
    for name, depth in DEPTH_RECIPES.items():
        row = rows[f" stage 1 `{name}` "]
        assert str(depth.phase.steps or depth.phase.epochs) in row[2]
        assert f"{depth.phase.batch_size}; {depth.phase.image_size}" in row[3]
    assert "`lite`" in names
