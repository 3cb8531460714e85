"""`dagan figure`: each kind from a model file, and what a user can get wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from dagan.cli.main import main
from dagan.models.weights import save_model


@pytest.fixture
def figure(tmp_path: Path, model_file: Path) -> Callable[..., tuple[int, Path]]:
    def draw(kind: str, *words: object) -> tuple[int, Path]:
        out = tmp_path / f"{kind}.png"
        common = ["-o", out, "--side", 64, "--device", "cpu", "--model", model_file]
        return main(["figure", kind, *map(str, [*words, *common])]), out

    return draw


@pytest.mark.parametrize(("kind", "columns"), [("depth", 2), ("cloud", 4)])
def test_each_image_gets_a_row(kind, columns, figure, portrait, driving, capsys):
    code, out = figure(kind, portrait, f"{driving}:3")
    assert code == 0
    page = Image.open(out)
    assert page.width == columns * 67 - 3
    assert page.height > 2 * 64
    assert "(2 rows)" in capsys.readouterr().out


def test_attention_is_drawn_at_every_query_for_every_model(figure, portrait, driving, model_file, capsys):
    other = ["--model", f"other={model_file}"]
    code, out = figure("attention", portrait, driving, "--query", "128,170", "--query", "90,100", *other)
    assert code == 0
    assert "(2 rows)" in capsys.readouterr().out
    assert Image.open(out).width > 5 * 67 - 3  # and the models' names


def test_a_grid_sets_models_side_by_side(figure, portrait, driving, model_file):
    code, out = figure("grid", portrait, driving, "--model", f"other={model_file}")
    assert code == 0
    assert Image.open(out).width == 6 * 67 - 3


def test_pictures_and_videos_are_known_by_their_content(figure, portrait, driving, tmp_path):
    Image.open(portrait).save(tmp_path / "photo.mp4", "WEBP")
    driving.rename(tmp_path / "video.png")
    assert figure("depth", tmp_path / "photo.mp4", f"{tmp_path / 'video.png'}:3")[0] == 0


def test_depth_maps_come_from_a_depth_network_alone_too(tmp_path, portrait, tiny_config):
    file = tmp_path / "depth.safetensors"
    save_model(file, tiny_config.depth.build(), tiny_config.depth)
    assert main(["figure", "depth", str(portrait), "--model", str(file), "-o", str(tmp_path / "depth.png")]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["grid", "{portrait}"], "give pairs"),
        (["attention", "{portrait}", "{portrait}", "--query", "300,1"], "expected X,Y in pixels from 0 to 255"),
        (["attention", "{portrait}", "{portrait}", "--query", "1.2.3,1"], "expected X,Y in pixels"),
        (["depth", "{driving}:99"], "has no frame 99"),
        (["depth", "absent.png"], "no such file"),
    ],
)
def test_a_mistake_gets_one_line(words, message, figure, portrait, driving, capsys):
    kind, *rest = (word.format(portrait=portrait, driving=driving) for word in words)
    code, out = figure(kind, *rest)
    assert code == 2
    complaint = capsys.readouterr().err
    assert message in complaint
    assert complaint.count("\n") == 1
    assert not out.exists()


def test_a_size_or_a_kind_of_file_that_cannot_be_is_refused_first(tmp_path, capsys):
    for words, message in (
        (["-o", str(tmp_path / "f.png"), "--side", "8"], "expected 32 to 2048"),
        (["-o", str(tmp_path / "f.gif")], "must end in .png or .jpg"),
        (["-o", str(tmp_path / "absent" / "f.png")], "no such folder"),
    ):
        assert main(["figure", "depth", "absent.png", *words]) == 2
        assert message in capsys.readouterr().err


def test_layers_are_drawn_with_the_picture_they_make(tmp_path, model_file, portrait):
    out = tmp_path / "layers.png"
    assert main(["figure", "layers", str(portrait), str(portrait), "-o", str(out), "--model", str(model_file)]) == 0
    with Image.open(out) as page:
        assert page.width == 9 * 192 + 8 * 3
