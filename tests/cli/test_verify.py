"""`dagan animate` marks, `dagan verify` finds; both say what they cannot do."""

import json
from pathlib import Path

import av
import pytest

from dagan.cli.main import main
from dagan.data.decoding import read_frames

EXACTLY = ["--device", "cpu", "--runtime", "torch", "--precision", "fp32", "--size", "64", "--crop", "none"]


@pytest.fixture
def made(portrait, driving, model_file, out, capsys):
    def animate(*options) -> Path:
        inputs = [str(portrait), str(driving), "-o", str(out), "--model", str(model_file)]
        assert main(["animate", *inputs, *EXACTLY, *options]) == 0
        return out

    return animate


def remuxed(path: Path, target: Path) -> Path:
    """The same frames in another container, without metadata."""
    with av.open(str(path)) as given, av.open(str(target), "w") as copy:
        stream = copy.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    return target


def test_manifest_tags_and_mark_are_found_and_fit_their_recipe(made, portrait, driving, model_file, capsys):
    path = made()
    capsys.readouterr()
    assert main(["verify", str(path), "--model", str(model_file), "--source", str(portrait)]) == 0
    printed = capsys.readouterr().out
    assert "made by dagan" in printed
    assert "intact, by a trusted signer" in printed
    assert printed.count("the same (manifest)") == 2
    assert main(["verify", str(path), "--source", str(driving)]) == 4


def test_without_metadata_the_mark_is_left(made, portrait, tmp_path, capsys):
    path = remuxed(made(), tmp_path / "copy.mkv")
    capsys.readouterr()
    assert main(["verify", str(path), "--source", str(portrait), "--json"]) == 0
    (report,) = json.loads(capsys.readouterr().out)
    assert (report["finding"], report["manifest"], report["tags"]) == ("marked", None, None)
    assert report["mark"]["agreement"] > 0.8
    assert report["mark"]["chance"] <= 1e-6
    assert report["recipe"] == {"source": "agrees"}


def test_finding_nothing_is_not_called_real(driving, monkeypatch, capsys):
    monkeypatch.setattr("dagan.provenance.verify.searched", lambda *_: [])
    assert main(["verify", str(driving)]) == 3
    assert "does not mean that it is real" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("absent.mp4", "no such video or picture: absent.mp4"),
        (".", ". is a folder; give a video or picture"),
        ("driving.mp4 absent.mp4", "no such video or picture: absent.mp4"),
        ("driving.mp4 --model absent", "no such model file: absent"),
        ("driving.mp4 --source absent", "no such source image: absent"),
    ],
)
def test_what_is_not_there_is_said_before_anything_is_read(driving, monkeypatch, capsys, words, said):
    monkeypatch.chdir(driving.parent)
    assert main(["verify", *words.split()]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == f"dagan: error: {said}\n"


def test_a_changed_file_contradicts_its_manifest(made, capsys):
    path = made()
    content = bytearray(path.read_bytes())
    content[-30] ^= 1
    path.write_bytes(content)
    assert main(["verify", str(path)]) == 4
    assert "changed since it was signed" in capsys.readouterr().out


def test_no_mark_leaves_out_all_of_it_and_says_so(made, monkeypatch, capsys):
    path = made("--no-mark")
    assert "nothing in the output says that it is synthetic" in capsys.readouterr().err
    monkeypatch.setattr("dagan.provenance.verify.searched", lambda *_: [])
    assert main(["verify", str(path)]) == 3


def test_a_label_is_seen(made):
    plain = next(read_frames(made()))
    labelled = next(read_frames(made("--label")))
    assert abs(labelled[-12:, :30].astype(int) - plain[-12:, :30]).mean() > 15


def test_without_a_place_for_a_key_mark_and_tags_are_left(made, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DAGAN_KEYS", str(tmp_path / "file"))
    path = made()
    assert capsys.readouterr().err.count("no signed manifest, only mark and tags") == 1
    assert main(["verify", str(path), "--json"]) == 0
    (report,) = json.loads(capsys.readouterr().out)
    assert report["manifest"] is None
    assert report["tags"]["mark"] == report["mark"]["payload"]


def test_no_mark_and_label_exclude_each_other(portrait, driving, out, capsys):
    assert main(["animate", str(portrait), str(driving), "-o", str(out), "--no-mark", "--label"]) == 2
    assert "choose one" in capsys.readouterr().err
