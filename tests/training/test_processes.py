"""Whole runs in processes of their own: several act as one, and one that is killed costs only its last steps."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dagan.training.checkpoint import checkpoints_in, load_checkpoint

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "tiny_run.py"
LIMIT = 240  # seconds; a run takes a few on an idle machine
COMPILE_LIMIT = 1200  # torch.compile takes four minutes on one core


def run(folder: Path, *options: object, processes: int = 1, limit: float = LIMIT) -> subprocess.CompletedProcess[str]:
    """The tiny run of tests/tiny_run.py in `folder`."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    words = [sys.executable, *(launcher if processes > 1 else []), str(SCRIPT), str(folder), *map(str, options)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    environment["PYTHONPATH"] = str(SCRIPT.parent)
    return subprocess.run(words, capture_output=True, text=True, timeout=limit, env=environment, check=False)


def weights(folder: Path) -> dict[str, Tensor]:
    """Model, discriminator and average at the end of a run."""
    state = load_checkpoint(folder)
    assert state is not None
    parts = {**state["modules"], "average": state["average"]}
    return {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}


def largest_difference(one: Path, other: Path) -> float:
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    return max((ours[name].double() - theirs[name].double()).abs().max().item() for name in ours)


def test_two_processes_give_the_weights_of_one_with_the_same_global_batch(tmp_path: Path) -> None:
    """All of the paper's losses, discriminator and synchronised batch norm; in float64, for Adam makes full steps of
    the rounding in gradients that are zero: of biases before a norm, say."""
    for folder, processes in (("one", 1), ("two", 2)):
        done = run(tmp_path / folder, "--double", processes=processes)
        assert done.returncode == 0, done.stderr
    assert largest_difference(tmp_path / "one", tmp_path / "two") < 1e-5


def test_two_processes_give_the_weights_of_one_in_float32_with_statistics_frozen(tmp_path: Path) -> None:
    """With an epsilon of Adam that does not blow up rounding; with 1e-8, all weights agree but those without effect."""
    for folder, processes in (("one", 1), ("two", 2)):
        assert run(tmp_path / folder, "--frozen", "--eps", 1e-3, processes=processes).returncode == 0
    assert largest_difference(tmp_path / "one", tmp_path / "two") < 1e-5


def test_only_the_first_process_writes(tmp_path: Path) -> None:
    assert run(tmp_path, "--apart", processes=2).returncode == 0
    assert (tmp_path / "0" / "model.safetensors").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["0"]


def test_n_steps_kill_9_and_n_more_are_2n_steps_bit_for_bit(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run(whole, "--steps", 6).returncode == 0
    assert run(cut, "--steps", 6, "--every", 3, "--kill", 4).returncode == -9
    assert [path.name for path in checkpoints_in(cut)] == ["step_00000003.pt"]
    assert run(cut, "--steps", 6).returncode == 0
    ours, theirs = weights(whole), weights(cut)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    one, other = load_checkpoint(whole), load_checkpoint(cut)
    assert one is not None
    assert other is not None
    for name, optimizer in one["optimizers"].items():
        for place, state in optimizer["state"].items():
            assert all(torch.equal(state[key], other["optimizers"][name]["state"][place][key]) for key in state)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_ends_the_run_with_a_message_and_the_run_goes_on_later(tmp_path: Path, rank: int) -> None:
    ended = run(tmp_path, "--every", 1, "--kill", 2, "--rank", rank, processes=2)
    assert ended.returncode != 0
    other = 1 - rank
    assert f"rank {other}: another process of this run has ended" in ended.stderr
    state = load_checkpoint(tmp_path)
    assert state is not None
    assert state["progress"]["step"] == 2
    assert run(tmp_path, processes=2).returncode == 0
    state = load_checkpoint(tmp_path)
    assert state is not None
    assert state["progress"]["step"] == 4


def test_a_compiled_run_computes_the_same_and_its_model_has_the_same_names(tmp_path: Path) -> None:
    for folder, option in (("eager", []), ("compiled", ["--compile"])):
        done = run(tmp_path / folder, "--steps", 1, "--frozen", *option, limit=COMPILE_LIMIT)
        assert done.returncode == 0, done.stderr
    totals = [
        json.loads((tmp_path / folder / "metrics.jsonl").read_text().splitlines()[0])["total"]
        for folder in ("eager", "compiled")
    ]
    assert totals[1] == pytest.approx(totals[0], rel=1e-4)
    assert weights(tmp_path / "eager").keys() == weights(tmp_path / "compiled").keys()
