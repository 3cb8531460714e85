"""`dagan ablate`: presets times seeds, trained, measured and tabled."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dagan.nn.vgg
from dagan.cli import ablate
from dagan.cli.main import main
from dagan.models.depth import FaceDepthConfig
from dagan.models.weights import save_model
from dagan.nn.vgg_files import FoundVGG
from dagan.presets import LITE_TABLE_4, PRESETS
from media import write_video
from parts import face_clips, narrowed, tiny_vgg

PORTRAIT = Path(__file__).parents[2] / "src" / "dagan" / "assets" / "astronaut.png"


@pytest.fixture
def test_clips(tmp_path: Path) -> Path:
    """A photo that moves sideways, and its mirror image as another person."""
    portrait = Image.open(PORTRAIT).convert("RGB").crop((118, 16, 330, 228)).resize((128, 128))
    for person, pixels in (("ann", np.asarray(portrait)), ("bob", np.asarray(portrait)[:, ::-1])):
        folder = tmp_path / "test" / f"{person}__c0"
        folder.mkdir(parents=True)
        for index in range(17):
            Image.fromarray(np.roll(pixels, index - 8, axis=1)).save(folder / f"{index:02}.png", compress_level=1)
    return tmp_path / "test"


def pretend(ran: list[list[str]], name: str, *words: object) -> None:
    """Leaves a result as `dagan evaluate` does: a number that depends on the seed."""
    texts = [name, *map(str, words)]
    ran.append(texts)
    if name == "evaluate":
        folder = Path(texts[texts.index("-o") + 1])
        folder.mkdir(parents=True)
        value = 20.0 + int(folder.parent.name.removeprefix("seed"))
        summary = {"PSNR": {"generated": value, "unmoved": 1.0}, "AKD (px)": {"generated": None}}
        (folder / "evaluation.json").write_text(json.dumps({"summary": summary}))


def test_presets_and_seeds_are_trained_and_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(ablate, "command", lambda *words: pretend(ran, *words))
    monkeypatch.setattr("dagan.nn.vgg_files.find_vgg", lambda choice=None: FoundVGG(Path("vgg"), "in the cache"))
    (tmp_path / "test").mkdir()
    options = [
        "--presets",
        "lite_baseline,lite_fomm_fdn",
        "--seeds",
        "2",
        "--steps",
        "7",
        "--evaluate",
        tmp_path / "test",
    ]
    words = ["ablate", *map(str, ["clips", "-o", tmp_path / "run", *options]), "--train-options", "--batch-size 2"]
    assert main(words) == 0
    trained, measured = ([words for words in ran if words[0] == name] for name in ("train", "evaluate"))
    assert len(trained) == 4
    assert len(measured) == 8
    assert all(words[words.index("--steps") + 1] == "7" and words[-2:] == ["--batch-size", "2"] for words in trained)
    assert not any("--recipe" in words or "--depth" in words for words in trained)  # as `dagan train` has them
    assert all(words[words.index("--size") + 1] == "128" for words in [*trained, *measured])
    assert all(words[words.index("--perceptual") + 1] == "vgg" for words in trained)
    table = json.loads((tmp_path / "run" / "table.json").read_text())
    assert table["lite_baseline"] == [{"self PSNR": 20.0, "cross PSNR": 20.0}, {"self PSNR": 21.0, "cross PSNR": 21.0}]
    text = (tmp_path / "run" / "table.md").read_text()
    assert "| lite_baseline | 2 | 20.5 ± 0.71 | 20.5 ± 0.71 |" in text
    assert "| seed noise |  | 0.707 | 0.707 |" in text
    ran.clear()
    assert main(words) == 0
    assert {words[0] for words in ran} == {"train"}  # which sees that it is done


def test_the_noise_of_seeds_is_pooled_over_presets() -> None:
    rows = {"a": [{"m": 1.0}, {"m": 3.0}], "b": [{"m": 5.0}, {"m": 5.0}, {"m": 5.0}], "c": [{"m": 9.0}]}
    assert ablate.seed_noise(rows, ["m"]) == {"m": pytest.approx((2.0 / 3) ** 0.5)}
    assert "seed noise" not in ablate.table_of({"a": [{"m": 1.0}]})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--presets", "baseline,dagon"], "unknown preset 'dagon'"),
        (["--seeds", "0"], "--seeds is 0"),
        (["--presets", "dagan"], "train-depth CLIPS -o RUN --preset dagan"),
        (["--recipe", "soup"], "unknown recipe 'soup'"),
        ([], "no vgg19 or vgg16"),
        (["--evaluate", "nowhere"], "no such folder of clips to measure on: nowhere"),
    ],
)
def test_mistakes_are_found_before_anything_is_trained(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    message: str,
) -> None:
    monkeypatch.setenv("DAGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DAGAN_DOWNLOAD", raising=False)
    assert main(["ablate", "clips", "-o", str(tmp_path / "run"), "--evaluate", str(tmp_path), *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_two_rows_go_from_clips_to_the_table(
    tmp_path: Path, test_clips: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train").mkdir()
    for clip in face_clips(2):
        write_video(tmp_path / "train" / clip.clip.path, clip.frames)
    for name in ("baseline", "dagan"):
        monkeypatch.setitem(PRESETS, f"lite_{name}", narrowed(LITE_TABLE_4[name]))
    monkeypatch.setattr(dagan.nn.vgg, "load_vgg", lambda path: tiny_vgg())
    depth = FaceDepthConfig(base_width=8, decoder_widths=(4, 8, 8, 8, 8))
    save_model(tmp_path / "depth.safetensors", depth.build(), depth)
    (tmp_path / "vgg.safetensors").write_bytes(b"")
    what = ["--presets", "lite_baseline,lite_dagan", "--steps", "2", "--size", "64", "--device", "cpu"]
    files = ["--depth", tmp_path / "depth.safetensors", "--perceptual", tmp_path / "vgg.safetensors"]
    options = ["--train-options=--batch-size 2 --threads 1 --workers 0"]
    options += ["--evaluate-options=--pairs-per-clip 1 --identity none --lpips none"]
    words = [tmp_path / "train", "-o", tmp_path / "run", "--evaluate", test_clips, *what, *files, *options]
    assert main(["ablate", *map(str, words)]) == 0, capsys.readouterr().err
    table = json.loads((tmp_path / "run" / "table.json").read_text())
    assert set(table) == {"lite_baseline", "lite_dagan"}
    assert all(value > 0 for rows in table.values() for name, value in rows[0].items() if name.endswith("PSNR"))
