"""Rows of Table 4 trained alike: budgets, starts, data, and the clock."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dagan.errors import UserError
from dagan.models.depth import FaceDepthConfig
from dagan.models.discriminator import DiscriminatorConfig
from dagan.presets import FOMM, LITE_BASELINE, LITE_FOMM, LITE_TABLE_4, TABLE_4
from dagan.training import ablation
from dagan.training.ablation import (
    JACOBIAN_TERM,
    WIDTHS,
    AblationConfig,
    Budget,
    Materials,
    build_variant,
    parse_budget,
    phases,
    train_variant,
    variants,
)
from parts import face_clips, narrowed, tiny_perceptual

DEPTH = FaceDepthConfig(base_width=8, decoder_widths=(4, 8, 8, 8, 8), working_size=32)
TINY = AblationConfig(
    budget=Budget(steps=3),
    image_size=64,
    batch_size=2,
    objective=(("perceptual", 1.0), ("equivariance", 1.0)),
    discriminator=DiscriminatorConfig(width=4, cap=8),
)


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablation, "LITE_BASELINE", narrowed(LITE_BASELINE))
    monkeypatch.setattr(ablation, "LITE_FOMM", narrowed(LITE_FOMM))


@pytest.fixture
def materials() -> Materials:
    torch.manual_seed(5)
    clips = face_clips(2)
    return Materials(clips, clips[:1], DEPTH.build(), tiny_perceptual(), torch.device("cpu"), {"clips": "drawn"})


def steps_of(folder: Path) -> list[int]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return sorted({json.loads(line)["step"] for line in lines})


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("400-steps", Budget(steps=400)),
        ("5k-steps", Budget(steps=5000)),
        ("1.5k-steps", Budget(steps=1500)),
        ("90s", Budget(seconds=90.0)),
        ("20m", Budget(seconds=1200.0)),
        ("1.5h", Budget(seconds=5400.0)),
    ],
)
def test_a_budget_is_read_from_its_text(text: str, budget: Budget) -> None:
    assert parse_budget(text) == budget


@pytest.mark.parametrize("text", ["", "20", "m", "0m", "0-steps", "-5m", "1.2.3m", "5 steps", "k-steps"])
def test_other_budgets_are_refused_with_examples(text: str) -> None:
    with pytest.raises(UserError, match=r"20m or 1\.5h, or steps such as 400-steps"):
        parse_budget(text)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 300, 5000])
def test_every_row_makes_exactly_the_steps_of_the_budget(steps: int) -> None:
    config = replace(TINY, budget=Budget(steps=steps))
    for model in LITE_TABLE_4.values():
        assert sum(phase.steps for phase in phases(config, model)) == steps
        assert all(phase.steps > 0 for phase in phases(config, model))


def test_rows_differ_in_their_loss_only_by_the_jacobians_that_they_have() -> None:
    for config in WIDTHS.values():
        assert phases(config, TABLE_4["dagan"])[0].objective == config.objective
        assert phases(config, FOMM)[0].objective == (*config.objective, JACOBIAN_TERM)


def test_the_last_fifth_is_annealed() -> None:
    first, last = phases(replace(TINY, budget=Budget(steps=100)), LITE_BASELINE)
    assert (first.steps, last.steps) == (80, 20)
    assert last.learning_rate == pytest.approx(0.1 * first.learning_rate)


def test_both_widths_have_the_nine_rows_with_one_depth_network() -> None:
    for widths in ("lite", "paper"):
        rows = variants(widths, DEPTH)
        assert list(rows) == list(TABLE_4)
        assert {row.depth for row in rows.values()} == {None, DEPTH}


def test_parts_that_rows_share_start_alike_and_the_depth_network_is_the_given_one(materials: Materials) -> None:
    baseline = build_variant(TINY, "baseline", 3, materials.depth).state_dict()
    for name in ("baseline_fdn", "baseline_cam", "dagan_sa", "dagan"):
        model = build_variant(TINY, name, 3, materials.depth)
        ours = model.state_dict()
        shared = [key for key in baseline if ours[key].shape == baseline[key].shape]
        assert len(baseline) - len(shared) <= 4  # of RGB-D: the first convolution, and what reads its skip
        assert all(torch.equal(ours[key], baseline[key]) for key in shared)
        given = materials.depth.state_dict()
        assert model.depth is not None
        assert all(torch.equal(value, given[key]) for key, value in model.depth.state_dict().items())


def test_another_seed_is_another_start(materials: Materials) -> None:
    one, two = (build_variant(TINY, "dagan", seed, materials.depth).motion.mask.weight for seed in (0, 1))
    assert not torch.equal(one, two)


def test_a_row_trains_its_steps_and_no_more_when_it_is_asked_again(materials: Materials, tmp_path: Path) -> None:
    file = train_variant(TINY, "fomm_fdn_cam", 0, materials, tmp_path)
    assert steps_of(tmp_path) == [1, 2, 3]
    written = file.stat().st_mtime_ns
    assert train_variant(TINY, "fomm_fdn_cam", 0, materials, tmp_path) == file
    assert file.stat().st_mtime_ns == written


def test_a_folder_of_another_row_is_refused(materials: Materials, tmp_path: Path) -> None:
    train_variant(replace(TINY, budget=Budget(steps=1)), "baseline", 0, materials, tmp_path)
    with pytest.raises(UserError, match="variant"):
        train_variant(replace(TINY, budget=Budget(steps=1)), "dagan", 0, materials, tmp_path)


def test_a_budget_of_time_ends_by_itself_and_is_over_for_good(materials: Materials, tmp_path: Path) -> None:
    config, started = replace(TINY, budget=Budget(seconds=0.5)), time.monotonic()
    file = train_variant(config, "baseline", 0, materials, tmp_path)
    assert file.is_file()
    assert 0.5 < time.monotonic() - started < 60
    made = steps_of(tmp_path)[-1]
    assert 1 <= made < 1000
    train_variant(config, "baseline", 0, materials, tmp_path)  # as after a kill between training and trained.json
    assert steps_of(tmp_path)[-1] <= made + 1
