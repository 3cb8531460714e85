"""The verdict on a training: the better of two models on held-out pairs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dagan.images import GAP
from dagan.models.talking_head import TalkingHead, TalkingHeadConfig
from dagan.training.before_after import (
    PICTURE_SIDE,
    Outcome,
    measure_outcome,
    read_outcome,
    write_outcome,
    write_picture,
)
from dagan.training.validation import Pairs

BEFORE = {"l1": 0.10, "ssim": 0.60, "psnr": 18.0}


@pytest.mark.parametrize(
    ("stopping", "after", "is_better"),
    [
        ((0.10, 0.09), {"l1": 0.09, "ssim": 0.61, "psnr": 18.5}, True),
        ((0.10, 0.09), {"l1": 0.09, "ssim": 0.60, "psnr": 18.0}, True),
        ((0.10, 0.11), {"l1": 0.09, "ssim": 0.61, "psnr": 18.5}, False),
        ((0.10, 0.09), {"l1": 0.11, "ssim": 0.61, "psnr": 18.5}, False),
        ((0.10, 0.09), {"l1": 0.09, "ssim": 0.59, "psnr": 18.5}, False),
        ((0.10, 0.09), {"l1": 0.09, "ssim": 0.61, "psnr": 17.9}, False),
        ((0.10, float("nan")), {"l1": float("nan"), "ssim": float("nan"), "psnr": float("nan")}, False),
        ((0.10, 0.10), BEFORE, False),
    ],
)
def test_better_is_closer_on_both_kinds_of_pairs_and_worse_in_nothing(stopping, after, is_better) -> None:
    assert Outcome(stopping, BEFORE, after).is_better is is_better


def test_numbers_are_of_each_model_on_the_pairs_it_is_asked_about(tiny_config: TalkingHeadConfig) -> None:
    start, trained = tiny_config.build().eval(), tiny_config.build().eval()
    stopping, final = (Pairs(torch.rand(3, 3, 64, 64), torch.rand(3, 3, 64, 64)) for _ in range(2))
    squares = {"closeness": lambda a, b: -(a - b).square().mean((1, 2, 3))}
    outcome = measure_outcome(start, trained, stopping, final, squares)
    with torch.no_grad():
        wanted = (trained(*stopping).generated - stopping.driving).abs().mean().item()
        close = -(start(*final).generated - final.driving).square().mean().item()
    assert outcome.stopping[1] == pytest.approx(wanted, rel=1e-4)
    assert outcome.before["closeness"] == pytest.approx(close, rel=1e-4)
    assert not measure_outcome(start, start, stopping, final, squares).is_better


def test_the_numbers_are_written_for_people_and_for_programs(tmp_path: Path) -> None:
    outcome = Outcome((0.1, 0.08), BEFORE, {"l1": 0.09, "ssim": 0.61, "psnr": 18.5})
    assert read_outcome(tmp_path) is None
    write_outcome(tmp_path, outcome)
    assert read_outcome(tmp_path) == outcome
    table = (tmp_path / "before_after.md").read_text()
    assert "| L1              |   0.1000 |   0.0900 |" in table
    assert "| PSNR            |  18.0000 |  18.5000 |" in table
    facts = json.loads((tmp_path / "before_after.json").read_text())
    assert facts["kept"] == "trained"
    assert facts["after"]["ssim"] == 0.61


def test_the_picture_has_a_row_for_each_of_some_pairs_and_the_images_in_their_columns(
    tiny_model: TalkingHead, tmp_path: Path
) -> None:
    pairs = Pairs(torch.zeros(9, 3, 64, 64), torch.ones(9, 3, 64, 64))
    path = write_picture(tmp_path, tiny_model, tiny_model, pairs, is_kept=True)
    pixels = np.asarray(Image.open(path))
    step = PICTURE_SIDE + GAP
    assert pixels.shape[1] == 4 * step - GAP
    assert pixels.shape[0] > 6 * step
    source, driving, before, after = (pixels[: 6 * step - GAP, at * step : at * step + PICTURE_SIDE] for at in range(4))
    assert source[:PICTURE_SIDE].max() == 0
    assert driving.min() == 255
    assert np.array_equal(before, after)
