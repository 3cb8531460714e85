"""The loop: the same run however it was cut, and nothing lost when it is stopped."""

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Dataset

import dagan
from dagan.errors import UserError
from dagan.training.checkpoint import checkpoint_path, load_checkpoint, save_checkpoint
from dagan.training.journal import StepReport
from dagan.training.loop import LoopConfig, train
from dagan.training.run_folder import prepare_folder
from dagan.training.schedule import check_split

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
    scores: Mapping[str, float] = field(default_factory=dict)  # of each panel; without any, the run is not judged
    not_finite: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        self.averaged: nn.Module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1))
        self.modules: Mapping[str, nn.Module] = {"net": self.averaged}
        self.optimizer = torch.optim.Adam(self.averaged.parameters(), lr=0.01)
        self.optimizers: Mapping[str, Optimizer] = {"net": self.optimizer}
        self.seen: list[tuple[int, str, list[int]]] = []
        self.panels: list[str] = []
        self.exports: list[str] = []
        self.judged_by = "score" if self.scores else None

    def dataset(self, length: int) -> Dataset[Tensor]:
        return Numbers(length)

    def step(self, phase: ToyPhase, batch: Tensor, step: int) -> StepReport:
        if step == self.crash_at:
            raise RuntimeError("power cut")
        self.seen.append((step, phase.name, batch[:, 0].int().tolist()))
        loss = (self.averaged(batch + 0.1 * torch.randn_like(batch)) - 1).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        if step in self.signals:
            os.kill(os.getpid(), self.signals[step])
        finite = torch.tensor(step not in self.not_finite)
        return StepReport({"total": loss.detach(), "place": torch.tensor(float(step))}, finite, {"place": 10.0})

    def panel(self, average: nn.Module, path: Path) -> dict[str, float]:
        assert not average.training
        self.panels.append(path.name)
        path.touch()
        return {"validation": 0.5} | ({"score": self.scores[path.name]} if self.scores else {})

    def export(self, average: nn.Module, path: Path) -> None:
        self.exports.append(path.name)
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


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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
    assert state["progress"]["step"] == 2
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
    assert again.exports == []


def test_checkpoints_are_as_frequent_as_asked_for(tmp_path: Path) -> None:
    seldom, often = ToyStage(), ToyStage()
    one, other = folders(tmp_path)
    train(seldom, CONFIG, PLAIN, one)
    train(often, LoopConfig(workers=0, checkpoint_seconds=0.0), PLAIN, other)
    assert (len(seldom.exports), len(often.exports)) == (1, 7)


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
    before = contents(tmp_path)
    stage = ToyStage()
    with pytest.raises(UserError, match="another configuration") as refused:
        train(stage, CONFIG, other, tmp_path)
    assert field_name in str(refused.value)
    assert "\n" not in str(refused.value)
    assert stage.seen == []
    assert contents(tmp_path) == before


def test_a_checkpoint_of_other_networks_is_refused_in_one_line(tmp_path: Path) -> None:
    train(ToyStage(), CONFIG, PLAIN, tmp_path)
    other = ToyStage()
    other.modules = {"net": nn.Linear(7, 7)}
    with pytest.raises(UserError, match="does not fit this run") as refused:
        train(other, CONFIG, PLAIN, tmp_path)
    assert "\n" not in str(refused.value)
    save_checkpoint(tmp_path, 9, {"step": 3})
    with pytest.raises(UserError, match=r"does not fit this run: 'config'"):
        train(ToyStage(), CONFIG, PLAIN, tmp_path)


def test_terms_are_logged_weighted_and_unweighted_with_rates_speed_and_waiting(tmp_path: Path) -> None:
    train(ToyStage(), CONFIG, PLAIN, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    for line in (line for line in lines if "total" in line):
        assert line["weighted_place"] == pytest.approx(10 * line["place"])
        assert line["learning_rate_net"] == 0.01
        assert 0 <= line["data_wait"] <= 1
        assert line["skipped_steps"] == 0


def test_a_phase_that_ends_between_two_lines_gets_a_line_of_its_own(tmp_path: Path) -> None:
    """A line across the border divided each phase's terms by the steps of both."""
    train(ToyStage(), LoopConfig(workers=0, log_every=3, panel_every=100), PLAIN, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    places = [(line["step"], line["phase"], line["place"]) for line in lines if "place" in line]
    assert places == [(3, "first", 1.0), (4, "first", 3.0), (7, "second", 5.0)]


def test_the_newest_checkpoints_and_the_best_are_kept_with_the_best_model(tmp_path: Path) -> None:
    scores = {f"panel_{step:07d}.png": score for step, score in zip(range(1, 8), (5, 3, 4, 3, 6, 7, 8), strict=True)}
    stage = ToyStage(scores=scores)
    best: list[str] = []
    export = stage.export

    def keep_best(average: nn.Module, path: Path) -> None:
        export(average, path)
        if path.name == "best.safetensors":
            best.append(f"{average.state_dict()}")

    stage.export = keep_best  # type: ignore[method-assign]
    train(stage, LoopConfig(workers=0, panel_every=1, checkpoint_every=1, keep=2), PLAIN, tmp_path)
    kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert kept == ["step_00000002.pt", "step_00000006.pt", "step_00000007.pt"]  # 3 at step 4 is no better than at 2
    assert len(best) == 2
    assert (tmp_path / "best.safetensors").read_text() == best[-1] != (tmp_path / "model.safetensors").read_text()


def test_patience_ends_a_run_that_gets_no_better_for_good(tmp_path: Path) -> None:
    scores = {f"panel_{step:07d}.png": score for step, score in zip(range(1, 8), (5, 3, 4, 3, 6, 1, 1), strict=True)}
    patient = LoopConfig(workers=0, panel_every=1, patience=2)
    stage = ToyStage(scores=scores)
    train(stage, patient, PLAIN, tmp_path)
    assert [step for step, _, _ in stage.seen] == [0, 1, 2, 3]
    again = ToyStage(scores=scores)
    assert train(again, patient, PLAIN, tmp_path).exists()
    assert again.seen == []


def test_a_run_out_of_minutes_is_judged_kept_and_over(tmp_path: Path) -> None:
    short = LoopConfig(workers=0, panel_every=100, minutes=1e-9)
    scores = {"panel_0000001.png": 5.0}
    stage = ToyStage(scores=scores)
    train(stage, short, PLAIN, tmp_path)
    assert [step for step, _, _ in stage.seen] == [0]
    assert stage.exports == ["model.safetensors", "best.safetensors"]
    again = ToyStage(scores=scores)
    assert train(again, short, PLAIN, tmp_path).exists()
    assert again.seen == []


def test_a_damaged_newest_checkpoint_is_passed_over_and_the_run_ends_the_same(tmp_path: Path) -> None:
    whole, cut = folders(tmp_path)
    often = LoopConfig(workers=0, checkpoint_every=1)
    train(ToyStage(), often, PLAIN, whole)
    with pytest.raises(RuntimeError, match="power cut"):
        train(ToyStage(crash_at=5), often, PLAIN, cut)
    newest = checkpoint_path(cut, 5)
    newest.write_bytes(newest.read_bytes()[:1000])
    resumed = ToyStage()
    with pytest.warns(UserWarning, match="step_00000005.pt is damaged"):
        train(resumed, often, PLAIN, cut)
    assert resumed.seen[0][0] == 4
    assert_same(whole, cut)


def test_lines_of_steps_that_are_made_again_are_not_written_twice(tmp_path: Path) -> None:
    whole, cut = folders(tmp_path)
    config = LoopConfig(workers=0, log_every=1, panel_every=2, checkpoint_every=3)
    train(ToyStage(), config, PLAIN, whole)
    with pytest.raises(RuntimeError, match="power cut"):
        train(ToyStage(crash_at=5), config, PLAIN, cut)
    with (cut / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "tot')  # cut short
    train(ToyStage(), config, PLAIN, cut)
    changing = {"time", "samples_per_second", "data_wait"}
    one, other = (
        [
            {name: value for name, value in json.loads(line).items() if name not in changing}
            for line in text.splitlines()
        ]
        for text in ((folder / "metrics.jsonl").read_text() for folder in (whole, cut))
    )
    assert one == other


def test_steps_that_are_not_finite_are_counted_and_left_out_of_the_means(tmp_path: Path) -> None:
    train(ToyStage(not_finite=frozenset({1, 4})), CONFIG, PLAIN, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    means = [(line["step"], line["place"], line["skipped_steps"]) for line in lines if "place" in line]
    assert means == [(2, 0.0, 1), (4, 2.5, 1), (6, 5.0, 2), (7, 6.0, 2)]


def test_a_row_of_steps_that_are_not_finite_ends_the_run_with_the_batch_saved(tmp_path: Path) -> None:
    stage = ToyStage(not_finite=frozenset({1, 3, 4, 5}))
    with pytest.raises(UserError, match=r"3 steps in a row, the last of them step 6,") as ended:
        train(stage, LoopConfig(workers=0, max_skipped=3), PLAIN, tmp_path)
    assert "\n" not in str(ended.value)
    saved = load_file(tmp_path / "nonfinite_batch.safetensors")
    assert saved["batch"][:, 0].int().tolist() == stage.seen[-1][2]


def test_the_sampler_the_generators_and_the_code_are_in_the_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(ToyStage(signals={4: signal.SIGTERM}), CONFIG, PLAIN, tmp_path)
    state = load_checkpoint(tmp_path)
    assert state is not None
    assert state["sampler"] == {"next_sample": 4 * 2 + 3}
    assert torch.equal(state["random"]["torch"], torch.get_rng_state())
    assert state["code"]["dagan"] == dagan.__version__
    assert state["code"]["packages"]["torch"] == version("torch")


def test_the_run_folder_says_what_was_run_when_and_on_what(tmp_path: Path) -> None:
    data = {"clips": 2, "size": 7, "sha256": "00"}
    with pytest.raises(KeyboardInterrupt):
        train(ToyStage(signals={0: signal.SIGTERM}), CONFIG, PLAIN, tmp_path, data=data)
    with pytest.warns(UserWarning, match="the clips are not those"):
        train(ToyStage(), CONFIG, PLAIN, tmp_path, data={**data, "clips": 3})
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["data"] == data
    assert [start["step"] for start in run["starts"]] == [0, 1]
    assert run["starts"][0]["command"] == sys.argv
    assert run["starts"][0]["packages"]["torch"] == version("torch")


def test_a_run_of_an_older_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    torch.save({"step": 3}, tmp_path / "checkpoint.pt")
    with pytest.raises(UserError, match="--from"):
        train(ToyStage(), CONFIG, PLAIN, tmp_path)


def test_a_batch_that_does_not_split_is_refused_by_its_phase() -> None:
    phases = ToyStage().phases
    check_split(phases[:1], 2)
    for size, accumulate, over in ((2, 1, "2 processes"), (1, 2, "2 parts"), (3, 2, "3 processes x 2 parts")):
        with pytest.raises(UserError, match=f"phase second: a batch of 3 does not split over {over}"):
            check_split(phases[1:], size, accumulate)
