"""`dagan ablate`: two rows from clips to the page, in one command."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dagan.nn.vgg
from dagan.cli.main import main
from dagan.models.depth import FaceDepthConfig
from dagan.models.keypoints import Modality
from dagan.models.weights import load_config, save_model
from dagan.presets import LITE_BASELINE, LITE_FOMM
from dagan.training import ablation
from media import write_video
from parts import face_clips, narrowed, tiny_vgg

PORTRAIT = Path(__file__).parents[2] / "src" / "dagan" / "assets" / "astronaut.png"
ROWS = ["baseline", "dagan"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """train/ of drawn faces; test/ of a photo that moves sideways, and its mirror image as another person."""
    (tmp_path / "data" / "train").mkdir(parents=True)
    for clip in face_clips(2):
        write_video(tmp_path / "data" / "train" / clip.clip.path, clip.frames)
    portrait = Image.open(PORTRAIT).convert("RGB").crop((118, 16, 330, 228)).resize((128, 128))
    for person, pixels in (("ann", np.asarray(portrait)), ("bob", np.asarray(portrait)[:, ::-1])):
        folder = tmp_path / "data" / "test" / f"{person}__c0"
        folder.mkdir(parents=True)
        for index in range(17):
            Image.fromarray(np.roll(pixels, index - 8, axis=1)).save(folder / f"{index:02}.png", compress_level=1)
    return tmp_path / "data"


@pytest.fixture
def dagan_ablate(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    monkeypatch.setattr(ablation, "LITE_BASELINE", narrowed(LITE_BASELINE))
    monkeypatch.setattr(ablation, "LITE_FOMM", narrowed(LITE_FOMM))
    monkeypatch.setattr(dagan.nn.vgg, "load_vgg", lambda path: tiny_vgg())
    depth = FaceDepthConfig(base_width=8, decoder_widths=(4, 8, 8, 8, 8), working_size=32)
    save_model(tmp_path / "depth.safetensors", depth.build(), depth)

    def run(*options: object) -> int:
        made = ["--depth", tmp_path / "depth.safetensors", "--perceptual", "vgg.safetensors", "--validation", "0"]
        small = ["--size", "64", "--batch-size", "2", "--budget", "2-steps", "--pairs-per-clip", "1", "--threads", "1"]
        evaluator = ["--identity", "none", "--lpips", "none", "--device", "cpu"]
        where = [data, "-o", tmp_path / "run", "--variants", ",".join(ROWS)]
        return main(["ablate", *map(str, [*where, *made, *small, *evaluator, *options])])

    return run


@pytest.mark.slow
def test_two_rows_are_trained_measured_and_reported_and_nothing_is_done_twice(
    dagan_ablate: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dagan_ablate() == 0
    printed = capsys.readouterr().out
    assert [line for line in printed.splitlines() if "seed" in line] == [f"{row}, seed 0" for row in ROWS]
    config = load_config(tmp_path / "run" / "dagan" / "seed0" / "model.safetensors")
    assert config.keypoints.modality is Modality.RGBD
    assert config.generator.refine.needs_depth
    page = (tmp_path / "run" / "ablation.md").read_text()
    for part in (
        "2 of the nine variants, lite widths, 2 steps of batch 2 at 64 pixels",
        "**Nothing.** None of the",
        "| Baseline → DaGAN | head-pose error (degrees), cross ↓ | -3.060 |",
        "| FOMM w/ FDN+CAM | 0.716 | - | - | 2.28 | - | - | 0.865 | - | - |",
        "Steps of each run: 2. Pairs: 2 self, 2 cross.",
        "2 runs on",
    ):
        assert part in page, part
    assert Image.open(tmp_path / "run" / "ablation" / "curves.png").width > 500
    grid = Image.open(tmp_path / "run" / "ablation" / "grid.jpg")
    assert grid.width > grid.height * 1.2
    models = [tmp_path / "run" / row / "seed0" / "model.safetensors" for row in ROWS]
    before = [model.stat().st_mtime_ns for model in models]
    assert dagan_ablate() == 0
    assert "seed 0" not in capsys.readouterr().out
    assert [model.stat().st_mtime_ns for model in models] == before
    assert main(["ablate", "-o", str(tmp_path / "run"), "--report", str(tmp_path / "page.md")]) == 0
    assert (tmp_path / "page.md").read_text() == page.replace("](ablation/", "](page/")
    assert dagan_ablate("--batch-size", "1") == 2
    assert "training.batch_size: 2 != 1" in capsys.readouterr().err


def test_the_count_has_all_nine_rows(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {"baseline": narrowed(LITE_BASELINE), "fomm": narrowed(LITE_FOMM)}  # nine would take a while
    monkeypatch.setattr("dagan.presets.LITE_TABLE_4", rows)
    assert main(["ablate", "--count", "--size", "64"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:4]] == ["| baseline", "| fomm"]
    assert "64 x 64 pixels" in lines[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--variants", "dagan,best"], "unknown variant 'best'"),
        (["--budget", "soon"], "--budget soon: expected a time such as 20m"),
        (["--size", "80"], "--size 80: the networks need a multiple of 32"),
        (["--test", "absent"], "no such folder of test clips: absent"),
    ],
)
def test_a_mistake_gets_one_line_before_anything_is_done(
    options: list[str], message: str, dagan_ablate: Callable[..., int], tmp_path: Path, capsys
) -> None:
    assert dagan_ablate(*options) == 2
    complaint = capsys.readouterr().err
    assert message in complaint
    assert complaint.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give the run folder with -o"),
        (["-o", "run"], "give DATA"),
        (["clips", "-o", "run"], "give --perceptual"),
        (["-o", "absent", "--report", "page.md"], "no ablation in absent"),
    ],
)
def test_what_is_missing_is_said(words: list[str], message: str, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["ablate", *words]) == 2
    assert message in capsys.readouterr().err
