import json

from dagan.cli.main import main
from dagan.config import from_plain
from dagan.models.talking_head import TalkingHeadConfig
from dagan.presets import PRESETS


def test_list_names_every_preset(capsys):
    assert main(["config", "list"]) == 0
    assert capsys.readouterr().out.split() == list(PRESETS)


def test_what_is_shown_builds_the_same_preset(capsys):
    assert main(["config", "show", "lite"]) == 0
    assert from_plain(TalkingHeadConfig, json.loads(capsys.readouterr().out)) == PRESETS["lite"]
