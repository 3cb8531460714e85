"""What a run writes down."""

import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dagan.errors import UserError
from dagan.training.distributed import ALONE
from dagan.training.journal import JournalConfig, JsonLines, Meter, StepReport, group_of, open_sinks

YES, NO = torch.tensor(True), torch.tensor(False)


def report(value: float, finite: torch.Tensor = YES) -> StepReport:
    return StepReport({"loss": torch.tensor(value)}, finite, {"loss": 10.0})


def test_means_leave_out_steps_that_were_not_taken() -> None:
    meter = Meter(ALONE)
    for one in (report(1.0), report(math.nan, NO), report(3.0)):
        meter.add(one, waited=0.0)
    values = meter.read(batch_size=4)
    assert (values["loss"], values["weighted_loss"]) == (2.0, 20.0)
    assert values["samples_per_second"] > 0
    meter.add(report(math.inf, NO), waited=0.0)
    assert meter.read(4).keys() == {"samples_per_second", "data_wait"}


def test_nothing_is_read_from_the_device_between_two_readings() -> None:
    """`float(tensor)` for every term of every step made the host wait for the GPU."""
    meter = Meter(ALONE)
    on_device = StepReport({"loss": torch.ones((), device="meta")}, torch.ones((), dtype=torch.bool, device="meta"))
    for _ in range(3):
        meter.add(on_device, waited=0.0)  # a meta tensor has no value: reading it raises
    with pytest.raises((RuntimeError, NotImplementedError)):
        meter.read(1)


def test_lines_after_the_step_of_a_resume_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 2, "a": 1}\n{"step": 4, "a": 2}\n{"step": 6, "a')
    JsonLines(path, 3).scalars(4, "all", {"a": 0.12345678})
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4]
    assert (lines[1]["phase"], lines[1]["a"]) == ("all", 0.123457)


def test_tensorboard_gets_curves_by_page_and_panels(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(tmp_path / "panel.png")
    sinks = open_sinks(JournalConfig(tensorboard=True), tmp_path, 0, {})
    for sink in sinks:
        sink.scalars(5, "all", {"perceptual": 2.0, "weighted_perceptual": 20.0, "validation_l1": 0.5})
        sink.picture(5, tmp_path / "panel.png")
        sink.close()
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("weighted/perceptual")] == [(5, 20.0)]
    assert {"loss/perceptual", "validation/l1"} <= set(events.Tags()["scalars"])
    assert events.Images("panel")[0].width == 6


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("perceptual", "loss/perceptual"),
        ("learning_rate_generator", "rate/generator"),
        ("discriminator_gradient", "gradient/discriminator_gradient"),
        ("data_wait", "machine/data_wait"),
        ("validation_ssim", "validation/ssim"),
    ],
)
def test_scalars_are_grouped_into_pages(name: str, page: str) -> None:
    assert group_of(name) == page


def test_weights_and_biases_gets_the_configuration_the_scalars_and_the_panels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[Any] = []
    run = SimpleNamespace(log=lambda values, step: logged.append((step, values)), finish=lambda: logged.append("end"))
    fake = SimpleNamespace(init=lambda **options: logged.append(options) or run, Image=lambda path: f"image {path}")
    monkeypatch.setitem(sys.modules, "wandb", fake)
    *_, sink = open_sinks(JournalConfig(wandb="heads"), tmp_path, 0, {"seed": 1})
    sink.scalars(3, "all", {"total": 1.0})
    sink.picture(3, tmp_path / "panel.png")
    sink.close()
    open_sinks(JournalConfig(wandb="heads"), tmp_path, 3, {"seed": 1})
    start, scalars, picture, end, again = logged
    assert again["id"] == start["id"]  # a resume goes on with the same curves
    assert (start["project"], start["config"], start["resume"]) == ("heads", {"seed": 1}, "allow")
    assert scalars == (3, {"loss/total": 1.0, "phase": "all"})
    assert picture == (3, {"panel": f"image {tmp_path / 'panel.png'}"})
    assert end == "end"


@pytest.mark.parametrize(
    ("config", "module"),
    [(JournalConfig(tensorboard=True), "torch.utils.tensorboard"), (JournalConfig(wandb="x"), "wandb")],
)
def test_a_package_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: JournalConfig, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match="is not installed; pip install"):
        open_sinks(config, tmp_path, 0, {})


def test_what_a_power_cut_left_in_the_log_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    log = JsonLines(path, 0)
    log.scalars(1, "phase", {"loss": 1.0})
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"st\n' + b"\0" * 50 + b'{"step": 2}\n' + b"[]\n" + b"\xff\0" * 20)
    JsonLines(path, 5).scalars(6, "phase", {"loss": 2.0})
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 6]
