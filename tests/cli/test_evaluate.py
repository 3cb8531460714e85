import json

import numpy as np
import pytest
from PIL import Image

from changed_photo import photo
from dagan.cli.main import main
from dagan.data.pictures import read_image
from dagan.models.weights import save_model

LIGHT = ["--identity", "none", "--lpips", "none"]
FILES = ["evaluation.html", "evaluation.json", "evaluation.md"]


@pytest.fixture(autouse=True)
def _offline(monkeypatch, tmp_path):
    monkeypatch.setenv("DAGAN_DOWNLOAD", "0")
    monkeypatch.setenv("DAGAN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def clips(tmp_path):
    """One clip of frames in which the portrait's head moves sideways."""
    folder = tmp_path / "clips" / "ann__c0"
    folder.mkdir(parents=True)
    for index in range(18):
        Image.fromarray(np.roll(photo(), index, axis=1)).save(folder / f"{index:02}.png")
    return folder.parent


@pytest.fixture
def weights(tmp_path, tiny_model, tiny_config):
    path = tmp_path / "tiny.safetensors"
    save_model(path, tiny_model, tiny_config)
    return path


def test_it_prints_the_ratios_and_writes_its_files(clips, weights, tmp_path, capsys):
    out = tmp_path / "results"
    code = main(["evaluate", str(clips), "--model", str(weights), "--pairs-per-clip", "2", "-o", str(out), *LIGHT])
    printed = capsys.readouterr().out
    assert code == 0
    assert "2 pairs of 1 clips" in printed
    table = (out / "evaluation.md").read_text()
    assert printed.startswith(table)
    found = json.loads((out / "evaluation.json").read_text())
    assert found["model"] == str(weights)
    assert found["summary"]["L1 ([0, 1])"]["ratio"] > 0
    assert f"{found['summary']['L1 ([0, 1])']['ratio']:.3f}" in table
    assert sorted(path.name for path in out.iterdir()) == FILES


def test_networks_that_cannot_be_had_are_said_and_the_rest_is_measured(clips, weights, capsys):
    assert main(["evaluate", str(clips), "--model", str(weights), "--pairs-per-clip", "1"]) == 0
    printed = capsys.readouterr().out
    assert "not measured: identity (SFace weights not found; see docs/evaluate.md)" in printed
    assert "| AKD (px)" in printed
    assert "\n| AED" not in printed


def test_foreign_images_are_judged_on_a_list_and_compared(clips, weights, tmp_path, capsys):
    drawn, exported = tmp_path / "list.csv", tmp_path / "exported"
    assert (
        main(["data", "pairs", str(clips), "-o", str(drawn), "--pairs-per-clip", "2", "--export", str(exported)]) == 0
    )
    assert drawn.read_text().startswith("source,driving,frame,source_sha256,driving_sha256\n")
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    common = [str(clips), "--pairs", str(drawn), *LIGHT]
    assert main(["evaluate", *common, "--model", str(weights), "-o", str(ours)]) == 0
    judged = ["--generated", str(exported / "driving"), "--name", "theirs", "--compare", str(ours), "-o", str(theirs)]
    assert main(["evaluate", *common, *judged]) == 0
    printed = capsys.readouterr().out
    assert "- second: theirs" in printed
    found = json.loads((theirs / "evaluation.json").read_text())
    assert found["summary"]["L1 ([0, 1])"]["generated"] == 0
    assert found["model"] == "theirs"
    assert main(["compare", str(ours), str(theirs), "-o", str(tmp_path / "difference.json")]) == 0
    assert capsys.readouterr().out.startswith(f"- first: {weights}")
    assert json.loads((tmp_path / "difference.json").read_text())["num_common"] == 2


def test_an_exported_folder_compares_with_our_own_run_on_the_same_list(clips, weights, tmp_path, capsys):
    drawn, exported = tmp_path / "list.csv", tmp_path / "exported"
    main(["data", "pairs", str(clips), "-o", str(drawn), "--pairs-per-clip", "2", "--export", str(exported)])
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    listed = [str(clips), "--pairs", str(drawn), "--model", str(weights)]
    assert main(["evaluate", *listed, "-o", str(ours), *LIGHT]) == 0
    judged = [str(exported), "--generated", str(exported / "driving")]
    assert main(["evaluate", *judged, "-o", str(theirs), *LIGHT]) == 0
    capsys.readouterr()
    assert main(["compare", str(ours), str(theirs)]) == 0
    printed = capsys.readouterr().out
    assert "- 2 common pairs; only in the first 0, in the second 0" in printed
    assert "motion relative to the source frame; motion as the system made it" in printed
    assert "warning: 2 pairs of" in printed


def test_mistakes_of_every_command_get_one_line(clips, weights, tmp_path, capsys):
    for command in (
        ["evaluate", str(clips), "--pairs", "absent.csv", "--model", str(weights)],
        ["evaluate", str(clips), "--generated", str(tmp_path)],
        ["evaluate", str(clips), "--model", str(weights), "--landmarks", "unknown"],
        ["evaluate", str(clips), "--model", str(weights), "--identity-weights", "absent.onnx"],
        ["evaluate", str(clips), "--model", str(weights), "--protocol", "cross", "--motion", "registered"],
        ["evaluate", str(clips), "--model", str(weights), "--protocol", "cross", "--rest", "source"],
        ["evaluate", str(clips), "--baseline", "registrations"],
        ["evaluate", str(clips), "--ghosts", "--protocol", "cross"],
        ["evaluate", str(clips), "--ghosts", "--model", str(weights)],
        ["compare", str(tmp_path), str(tmp_path)],
        ["data", "pairs", str(clips), "-o", "absent/list.csv"],
    ):
        assert main(command) == 2
        complaint = capsys.readouterr().err
        assert complaint.startswith("dagan: error: ")
        assert complaint.count("\n") == 1


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


def test_relative_motion_counts_from_the_frame_that_is_asked_for(clips, weights, tmp_path, capsys):
    other = clips / "bob__c0"
    other.mkdir()
    for frame in sorted((clips / "ann__c0").iterdir()):
        Image.fromarray(read_image(frame)[:, ::-1]).save(other / frame.name)
    common = ["evaluate", str(clips), "--model", str(weights), "--protocol", "cross", "--pairs-per-clip", "1", *LIGHT]

    def rests(*words) -> list[int]:
        out = tmp_path / "_".join(words)
        assert main([*common, "--motion", "relative", "--rest", *words, "-o", str(out)]) == 0
        found = json.loads((out / "evaluation.json").read_text())
        assert found["protocol"]["motion"] == f"from {words[0]}"
        return [sample["rest"]["frame"] for sample in found["samples"]]

    assert rests("first") == [0, 0]
    assert all(0 <= frame < 18 for frame in rests("best"))
    capsys.readouterr()
    assert main([*common, "--motion", "absolute", "--rest", "best", "-o", str(tmp_path / "absolute")]) == 2
    assert "--rest chooses the rest frame of relative motion" in capsys.readouterr().err
