import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dagan.cli.main import main
from dagan.data.decoding import read_image
from dagan.models.weights import save_model

PORTRAIT = Path(__file__).parents[2] / "src" / "dagan" / "assets" / "astronaut.png"


@pytest.fixture
def clips(tmp_path):
    """One clip of frames in which the portrait's head moves sideways."""
    folder = tmp_path / "clips" / "ann__c0"
    folder.mkdir(parents=True)
    portrait = Image.fromarray(read_image(PORTRAIT)).crop((118, 16, 330, 228)).resize((256, 256))
    for index in range(18):
        Image.fromarray(np.roll(np.asarray(portrait), index, axis=1)).save(folder / f"{index:02}.png")
    return folder.parent


@pytest.fixture
def weights(tmp_path, tiny_model, tiny_config):
    path = tmp_path / "tiny.safetensors"
    save_model(path, tiny_model, tiny_config)
    return path


def test_it_prints_the_ratios_and_writes_both_files(clips, weights, tmp_path, capsys):
    out = tmp_path / "results"
    code = main(["evaluate", str(clips), "--model", str(weights), "--pairs-per-clip", "2", "-o", str(out)])
    printed = capsys.readouterr().out
    assert code == 0
    assert "2 pairs of 1 clips" in printed
    table = (out / "evaluation.md").read_text()
    assert printed.startswith(table)
    found = json.loads((out / "evaluation.json").read_text())
    assert found["model"] == str(weights)
    assert found["summary"]["L1 ([0, 1])"]["ratio"] > 0
    assert f"{found['summary']['L1 ([0, 1])']['ratio']:.3f}" in table
    assert sorted(path.name for path in out.iterdir()) == ["evaluation.json", "evaluation.md"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent"], "no such folder of clips"),
        (["clips", "--model", "absent.safetensors"], "absent.safetensors"),
        (["clips", "-o", "absent/results"], "no such folder: absent"),
    ],
)
def test_a_mistake_gets_one_line_and_code_2(arguments, message, clips, weights, capsys, monkeypatch):
    monkeypatch.chdir(clips.parent)
    given = arguments if "--model" in arguments else [*arguments, "--model", str(weights)]
    assert main(["evaluate", *given]) == 2
    complaint = capsys.readouterr().err
    assert message in complaint
    assert complaint.count("\n") == 1


def test_a_count_below_one_is_refused_before_anything_is_read(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "absent", "--limit", "0"])
    assert stopped.value.code == 2
    assert "expected 1 or more" in capsys.readouterr().err
