"""The loop: the same run however it was cut, and nothing lost when it is stopped."""

import json
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Dataset

from dagan.errors import UserError
from dagan.training.checkpoint import CHECKPOINT, load_checkpoint
from dagan.training.loop import LoopConfig, prepare_folder, train

CONFIG = LoopConfig(workers=0, log_every=2, panel_every=4)
PLAIN = {"model": {"kind": "Toy", "width": 3}, "phases": [{"steps": 4}, {"steps": 3}]}


@dataclass(frozen=True)
class ToyPhase:
    name: str
    steps: int
    batch_size: int


class Numbers(Dataset[Tensor]):
    """Item i starts with i."""

    def __init__(self, length: int):
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Tensor:
        return torch.cat([torch.tensor([float(index)]), torch.randn(2, generator=torch.Generator().manual_seed(index))])


@dataclass
class ToyStage:
    """Everything that a run's state is made of: weights, running statistics, momentum, noise, the order of samples."""

    phases: Sequence[ToyPhase] = (ToyPhase("first", 4, 2), ToyPhase("second", 3, 3))
    signals: Mapping[int, int] = field(default_factory=dict)  # after which step which signal comes
    crash_at: int | None = None

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        self.averaged: nn.Module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1))
        self.modules: Mapping[str, nn.Module] = {"net": self.averaged}
        self.optimizer = torch.optim.Adam(self.averaged.parameters(), lr=0.01)
        self.optimizers: Mapping[str, Optimizer] = {"net": self.optimizer}
        self.seen: list[tuple[int, str, list[int]]] = []
        self.panels: list[str] = []
        self.exports = 0

    def dataset(self, length: int) -> Dataset[Tensor]:
        return Numbers(length)

    def step(self, phase: ToyPhase, batch: Tensor, step: int) -> dict[str, Tensor]:
        if step == self.crash_at:
            raise RuntimeError("power cut")
        self.seen.append((step, phase.name, batch[:, 0].int().tolist()))
        loss = (self.averaged(batch + 0.1 * torch.randn_like(batch)) - 1).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        if step in self.signals:
            os.kill(os.getpid(), self.signals[step])
        return {"total": loss.detach(), "place": torch.tensor(float(step))}

    def panel(self, average: nn.Module, path: Path) -> dict[str, float]:
        assert not average.training
        self.panels.append(path.name)
        return {"validation": 0.5}

    def export(self, average: nn.Module, path: Path) -> None:
        self.exports += 1
        path.write_text(f"{average.state_dict()}")


def final_state(folder: Path) -> dict[str, Tensor]:
    """Every tensor of the last checkpoint by its path."""
    tensors: dict[str, Tensor] = {}

    def collect(value: object, path: str) -> None:
        if isinstance(value, Tensor):
            tensors[path] = value
        elif isinstance(value, Mapping):
            for name, item in value.items():
                collect(item, f"{path}/{name}")
        elif isinstance(value, list | tuple):
            for place, item in enumerate(value):
                collect(item, f"{path}/{place}")
        else:
            tensors[f"{path}={value}"] = torch.zeros(())

    collect(load_checkpoint(folder), "")
    return tensors


def assert_same(one: Path, other: Path) -> None:
    ours, theirs = final_state(one), final_state(other)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert (one / "model.safetensors").read_text() == (other / "model.safetensors").read_text()


def folders(tmp_path: Path) -> tuple[Path, Path]:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    prepare_folder(whole)
    prepare_folder(cut)
    return whole, cut


@pytest.mark.parametrize("stops", [(0,), (2,), (3,), (4,), (5,), (1, 3, 4)], ids=str)
def test_a_run_stopped_anywhere_ends_as_an_uninterrupted_one_bit_for_bit(
    tmp_path: Path, stops: tuple[int, ...]
) -> None:
    """Stops within a phase, at the border of two, and right after it."""
    whole, cut = folders(tmp_path)
    uninterrupted = ToyStage()
    train(uninterrupted, CONFIG, PLAIN, whole)
    seen = []
    for stop in stops:
        stage = ToyStage(signals={stop: signal.SIGTERM})
        with pytest.raises(KeyboardInterrupt):
            train(stage, CONFIG, PLAIN, cut)
        seen += stage.seen
        assert seen[-1][0] == stop
    resumed = ToyStage()
    assert train(resumed, CONFIG, PLAIN, cut) == cut / "model.safetensors"
    assert seen + resumed.seen == uninterrupted.seen
    assert_same(whole, cut)


def test_every_sample_is_taken_once_in_order_in_the_batch_size_of_its_phase(tmp_path: Path) -> None:
    stage = ToyStage()
    train(stage, CONFIG, PLAIN, tmp_path)
    assert [step for step, _, _ in stage.seen] == list(range(7))
    assert [name for _, name, _ in stage.seen] == ["first"] * 4 + ["second"] * 3
    assert [len(samples) for _, _, samples in stage.seen] == [2] * 4 + [3] * 3
    assert [sample for _, _, samples in stage.seen for sample in samples] == list(range(17))


def test_loading_in_another_process_changes_nothing(tmp_path: Path) -> None:
    here, there = folders(tmp_path)
    train(ToyStage(), CONFIG, PLAIN, here)
    train(ToyStage(), LoopConfig(workers=1, log_every=2, panel_every=4), PLAIN, there)
    assert_same(here, there)


def test_another_seed_is_another_run(tmp_path: Path) -> None:
    one, other = folders(tmp_path)
    train(ToyStage(), CONFIG, PLAIN, one)
    train(ToyStage(), LoopConfig(workers=0, seed=1), PLAIN, other)
    weight = "/modules/net/0.weight"
    assert not torch.equal(final_state(one)[weight], final_state(other)[weight])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_after_the_step_and_leaves_the_handlers_as_they_were(tmp_path: Path, number: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        train(ToyStage(signals={1: number}), CONFIG, PLAIN, tmp_path)
    state = load_checkpoint(tmp_path)
    assert state is not None
    assert state["step"] == 2
    assert (tmp_path / "model.safetensors").exists()
    assert signal.getsignal(number) is before


def test_a_crash_goes_on_from_the_last_checkpoint(tmp_path: Path) -> None:
    whole, cut = folders(tmp_path)
    often = LoopConfig(workers=0, checkpoint_seconds=0.0)
    train(ToyStage(), often, PLAIN, whole)
    with pytest.raises(RuntimeError, match="power cut"):
        train(ToyStage(crash_at=5), often, PLAIN, cut)
    resumed = ToyStage()
    train(resumed, often, PLAIN, cut)
    assert resumed.seen[0][0] == 5
    assert_same(whole, cut)


def test_a_model_that_could_not_be_written_is_written_by_the_next_try(tmp_path: Path) -> None:
    """The checkpoint came first, and a finished run whose export had failed was never exported."""
    stage = ToyStage()

    def fail(average: nn.Module, path: Path) -> None:
        raise OSError(28, "No space left on device")

    stage.export = fail  # type: ignore[method-assign]
    with pytest.raises(OSError, match="No space"):
        train(stage, CONFIG, PLAIN, tmp_path)
    assert train(ToyStage(), CONFIG, PLAIN, tmp_path).exists()


def test_a_finished_run_is_not_repeated(tmp_path: Path) -> None:
    train(ToyStage(), CONFIG, PLAIN, tmp_path)
    again = ToyStage()
    assert train(again, CONFIG, PLAIN, tmp_path).exists()
    assert again.seen == []
    assert again.exports == 0


def test_checkpoints_are_as_frequent_as_asked_for(tmp_path: Path) -> None:
    seldom, often = ToyStage(), ToyStage()
    one, other = folders(tmp_path)
    train(seldom, CONFIG, PLAIN, one)
    train(often, LoopConfig(workers=0, checkpoint_seconds=0.0), PLAIN, other)
    assert (seldom.exports, often.exports) == (1, 7)


def test_the_log_holds_means_of_terms_and_the_panels_numbers(tmp_path: Path) -> None:
    stage = ToyStage()
    train(stage, CONFIG, PLAIN, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    means = [line for line in lines if "total" in line]
    panels = [line for line in lines if "validation" in line]
    assert [(line["step"], line["phase"]) for line in means] == [
        (2, "first"),
        (4, "first"),
        (6, "second"),
        (7, "second"),
    ]
    assert [line["place"] for line in means] == [0.5, 2.5, 4.5, 6]  # the last one of what was left
    assert all(line["samples_per_second"] > 0 for line in means)
    assert [(line["step"], line["phase"], line["validation"]) for line in panels] == [
        (4, "first", 0.5),
        (7, "second", 0.5),
    ]
    assert stage.panels == ["panel_0000004.png", "panel_0000007.png"]


def test_a_new_run_writes_down_what_it_is(tmp_path: Path) -> None:
    train(ToyStage(), CONFIG, PLAIN, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text()) == PLAIN


@pytest.mark.parametrize(
    ("other", "field_name"),
    [
        ({**PLAIN, "model": {"kind": "Toy", "width": 4}}, "model.width: 3 != 4"),
        ({**PLAIN, "model": {"kind": "Car", "width": 3}}, "model.kind: 'Toy' != 'Car'"),
        ({**PLAIN, "phases": [{"steps": 4}, {"steps": 9}]}, r"phases[1].steps: 3 != 9"),
        ({**PLAIN, "phases": [{"steps": 4}]}, "phases: "),
        ({**PLAIN, "seed": 3}, "seed: None != 3"),
    ],
)
def test_a_folder_with_another_run_is_refused_by_the_field(
    tmp_path: Path, other: dict[str, object], field_name: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(ToyStage(signals={0: signal.SIGTERM}), CONFIG, PLAIN, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    stage = ToyStage()
    with pytest.raises(UserError, match="another configuration") as refused:
        train(stage, CONFIG, other, tmp_path)
    assert field_name in str(refused.value)
    assert "\n" not in str(refused.value)
    assert stage.seen == []
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_checkpoint_of_other_networks_is_refused_in_one_line(tmp_path: Path) -> None:
    train(ToyStage(), CONFIG, PLAIN, tmp_path)
    other = ToyStage()
    other.modules = {"net": nn.Linear(7, 7)}
    with pytest.raises(UserError, match="does not fit this run") as refused:
        train(other, CONFIG, PLAIN, tmp_path)
    assert "\n" not in str(refused.value)
    torch.save({"step": 3}, tmp_path / CHECKPOINT)
    with pytest.raises(UserError, match=r"does not fit this run: 'config'"):
        train(ToyStage(), CONFIG, PLAIN, tmp_path)


def test_a_run_folder_is_made_with_its_parents_and_left_empty(tmp_path: Path) -> None:
    prepare_folder(tmp_path / "runs" / "first")
    assert list((tmp_path / "runs" / "first").iterdir()) == []
    prepare_folder(tmp_path / "runs" / "first")


def test_a_run_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(UserError, match=str(folder)):
            prepare_folder(folder)
