import json

from dagan.cli.main import main
from dagan.config import from_plain
from dagan.models.talking_head import TalkingHeadConfig
from dagan.presets import PRESETS
from dagan.training.depth_recipes import DEPTH_RECIPES
from dagan.training.recipes import RECIPES


def test_list_names_every_preset(capsys):
    assert main(["config", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1 : 1 + len(PRESETS)]] == list(PRESETS)
    lite = next(line for line in lines if line.startswith("lite "))
    count = sum(parameter.numel() for parameter in PRESETS["lite"].build().parameters())
    assert lite.split()[1:5] == [f"{count / 1e6:.1f}", "M", "lite", "lite"]
    assert "in the package" in lite
    assert "ours for laptops" in lite
    assert {line.split()[0] for line in lines if line} >= {*RECIPES, *DEPTH_RECIPES}


def test_what_is_shown_builds_the_same_preset(capsys):
    assert main(["config", "show", "lite"]) == 0
    assert from_plain(TalkingHeadConfig, json.loads(capsys.readouterr().out)) == PRESETS["lite"]
