"""Run folders: run.json, metrics.jsonl, checkpoints, and what fine-tuning says of its outcome."""

import copy
import json
import warnings
from types import SimpleNamespace

import pytest
import torch
from hypothesis import strategies as st
from mutations import ODD, changed, damaged, fuzzed, takes_or_refuses
from torch import nn

from dagan.training.before_after import NAME, Outcome, read_outcome, write_outcome
from dagan.training.checkpoint import read_checkpoint, save_checkpoint
from dagan.training.ema import MovingAverage
from dagan.training.journal import METRICS, JsonLines
from dagan.training.run_folder import RUN_FILE, record_start
from dagan.training.state import Progress, resume, run_state

START = {"step": 0, "dagan": "0.1.0", "commit": None}
RUN = {"data": {"clips": 1}, "starts": [START]}
LINES = [{"step": step, "time": 1.0, "phase": "train", "l1": 0.5} for step in (1, 2, 3)]
PLAIN = {"steps": 4, "kind": "Toy"}


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def toy():
    net = nn.Linear(2, 2)
    adam = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 2)).sum().backward()
    adam.step()
    return SimpleNamespace(phases=(), modules={"net": net}, optimizers={"net": adam}, averaged=net)


@pytest.fixture(scope="module")
def state():
    stage = toy()
    found = run_state(stage, MovingAverage(stage.averaged), Progress(), PLAIN)
    python, numpy = found["random"]["python"], found["random"]["numpy"]
    assert len(python[1]) > 600
    assert len(numpy[1]) > 600
    return found


@fuzzed(changed(RUN).map(lambda plain: json.dumps(plain).encode()) | damaged(json.dumps(RUN).encode()), share=2)
def test_a_run_goes_on_with_any_run_file_or_refuses_it(tmp_path, content):
    (tmp_path / RUN_FILE).write_bytes(content)
    takes_or_refuses(lambda: record_start(tmp_path, START, {"clips": 1}))


@fuzzed(st.lists(changed(LINES[0]) | ODD, min_size=1, max_size=2))
def test_a_run_goes_on_with_any_values_in_its_metrics_or_refuses_them(tmp_path, odd):
    (tmp_path / METRICS).write_text("".join(json.dumps(line) + "\n" for line in [*odd, *LINES]))
    takes_or_refuses(lambda: JsonLines(tmp_path / METRICS, 2))


@fuzzed(damaged("".join(json.dumps(line) + "\n" for line in LINES).encode()))
def test_a_run_goes_on_with_any_bytes_in_its_metrics_or_refuses_them(tmp_path, content):
    (tmp_path / METRICS).write_bytes(content)
    takes_or_refuses(lambda: JsonLines(tmp_path / METRICS, 2))


@fuzzed(st.data())
def test_any_bytes_are_a_run_checkpoint_or_are_refused(tmp_path, data):
    save_checkpoint(tmp_path, 1, {"step": 1, "net": torch.ones(3)})
    path = next((tmp_path / "checkpoints").iterdir())
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    takes_or_refuses(lambda: read_checkpoint(path))


@fuzzed(st.data(), share=2)
def test_a_run_goes_on_with_any_state_or_refuses_it(tmp_path, state, data):
    found = copy.deepcopy(state)
    found["random"]["python"][1][2:-1] = []  # so that changes seldom fall on one of its 625 numbers
    place = data.draw(st.sampled_from([None, "random", "progress", "optimizers", "config"]))
    if place is None:
        found = data.draw(changed(found))
    elif place == "config":
        found[place] = data.draw(changed(PLAIN).map(json.dumps) | st.text(max_size=5))
    else:
        found[place] = data.draw(changed(found[place]))
    save_checkpoint(tmp_path, 1, found)
    stage = toy()
    takes_or_refuses(lambda: resume(stage, MovingAverage(stage.averaged), PLAIN, tmp_path))


@fuzzed(st.data())
def test_any_outcome_of_fine_tuning_is_taken_or_refused(tmp_path, data):
    write_outcome(tmp_path, Outcome((0.2, 0.1), {"l1": 0.2, "csim": 0.8}, {"l1": 0.1, "csim": 0.9}))
    file = tmp_path / f"{NAME}.json"
    plain = json.loads(file.read_text())
    values = changed(plain).map(lambda found: json.dumps(found).encode())
    file.write_bytes(data.draw(values | damaged(file.read_bytes())))

    def used():
        outcome = read_outcome(tmp_path)  # None: the file is damaged, and the models are measured again
        return outcome and (outcome.is_better, outcome.table)

    takes_or_refuses(used)
