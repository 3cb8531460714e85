"""`dagan pose`: what it refuses, and what it says of the photo."""

from importlib import resources

import numpy as np
import pytest
from PIL import Image

from dagan.cli.main import main
from dagan.data.pictures import read_image


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("absent.png -o out.png", "no such photo: absent.png"),
        (". -o out.png", ". is a folder; give a photo"),
        ("text.png -o out.png", "not an image: text.png"),
        ("portrait.png -o portrait.png", "the output would replace the input portrait.png"),
        ("portrait.png -o absent/out.png", "no such folder: absent"),
        ("portrait.png -o folder.png", "the output is a folder: folder.png"),
        ("portrait.png -o out.txt", "the output must end in .png or .jpg, got out.txt"),
        ("portrait.png -o out.png --model absent.safetensors", "model file not found: absent.safetensors"),
        ("portrait.png -o out.png --turn yaw=nan", "--turn"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, portrait, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    before = sorted(tmp_path.iterdir())
    assert main(["pose", "--turn", "yaw=5", "--crop", "none", *words.split()]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("dagan: error: ")
    assert said in line
    assert sorted(tmp_path.iterdir()) == before


def test_which_of_two_faces_was_taken_is_said(tmp_path, model_file, capsys):
    astronaut = read_image(str(resources.files("dagan") / "assets" / "astronaut.png"))
    Image.fromarray(np.hstack([astronaut, astronaut])).save(tmp_path / "pair.png")
    result, words = tmp_path / "out.png", ["--face", "2", "--turn", "yaw=5", "--model", str(model_file)]
    assert main(["pose", str(tmp_path / "pair.png"), "-o", str(result), *words]) == 0
    said = capsys.readouterr().err.splitlines()[-1]
    assert "2 faces: took face 2" in said
    assert said.endswith("--face 1 is the other")
    assert Image.open(result).size == (1024, 512)
