"""scripts/results.py: what is there is not measured again, and the pages get the reports' numbers."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from samples import SELF, sample, scores

from dagan.evaluation.metrics.accumulators import Change
from dagan.evaluation.metrics.temporal import ClipMotion
from dagan.evaluation.pairs import EvaluationProtocol
from dagan.evaluation.records import ShapeFollowing, Shown
from dagan.evaluation.report import Report
from dagan.observers import ObserverVersion

SCRIPT = Path(__file__).parents[2] / "scripts" / "results.py"
OBSERVERS = {use: ObserverVersion(use, "evaluator 1.0", "ab" * 32) for use in ("landmarks", "identity", "matte")}
CROSS = EvaluationProtocol("cross-identity", 3, 15, 0, 256)


@pytest.fixture(scope="module")
def results():
    spec = importlib.util.spec_from_file_location("results_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write(folder: Path, name: str) -> None:
    """A result as `dagan evaluate -o` leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    if name == "ghosts":
        summary = {"left": 0.4, "left_interval": [0.3, 0.5], "num_moved": 7, "left_behind": 0.6, "eaten": 0.001}
        (folder / "ghosts.json").write_text(json.dumps({"summary": summary}))
        return
    l1 = {"self": 0.05, "absolute": 0.06, "registered": 0.04, "registrations": 0.07}.get(name, 0.05)
    shape = [ShapeFollowing(*[Change(n, n)] * 5) for n in (0.0, 1.0)]
    samples = tuple(
        sample(
            scores(l1=l1, csim=0.8)._replace(head_l1=l1, aed=0.4),
            scores(l1=0.1, csim=1.0)._replace(head_l1=0.1, aed=0.3),
            person=p,
        )._replace(shape=s, second_shape=s, shown=Shown(head=True))
        for p, s in zip("ab", shape, strict=True)
    )
    protocol = CROSS if name.startswith("cross") else SELF
    motions = (ClipMotion("a", 9, 1.5, 1.25, 0.5, 0.75),) if name == "video" else ()
    report = Report(model="m", protocol=protocol, observers=OBSERVERS, samples=samples, motions=motions)
    (folder / "evaluation.json").write_text(report.to_json())


def run(results, monkeypatch, out, *options):
    asked = []

    def evaluated(command):
        asked.append(command)
        write(Path(command[command.index("-o") + 1]), Path(command[command.index("-o") + 1]).name)
        return 0

    monkeypatch.setattr(results, "dagan", evaluated)
    monkeypatch.setattr(sys, "argv", ["results.py", "CLIPS", "-o", str(out), *options])
    assert results.main() == 0
    return asked


def test_every_run_is_asked_for_once_and_an_interrupted_whole_goes_on(results, monkeypatch, tmp_path):
    first = run(results, monkeypatch, tmp_path, "--only", "self", "ghosts")
    assert [Path(command[-1]).name for command in first] == ["self", "ghosts"]
    assert not list(tmp_path.glob("block_*"))
    left = run(results, monkeypatch, tmp_path)
    assert {Path(command[-1]).name for command in left} == set(results.RUNS) - {"self", "ghosts"}
    assert run(results, monkeypatch, tmp_path) == []


def test_quick_runs_take_three_clips_and_one_pair_each(results, monkeypatch, tmp_path):
    for command in run(results, monkeypatch, tmp_path, "--quick"):
        assert command.count("--limit") == 1
        assert command[command.index("--limit") + 1] == "3"
        if "--ghosts" not in command:
            assert command.count("--pairs-per-clip") == 1
            assert command[command.index("--pairs-per-clip") + 1] == "1"


def test_the_pages_get_the_numbers_of_the_reports(results, monkeypatch, tmp_path):
    pages = tmp_path / "pages"
    (pages / "docs").mkdir(parents=True)
    for page in results.BLOCKS:
        (pages / page).write_text(f"before\n{results.BEGIN}\nstale\n{results.END}\nafter\n")
    monkeypatch.setattr(results, "ROOT", pages)
    run(results, monkeypatch, tmp_path / "out", "--write")
    texts = {page: (pages / page).read_text() for page in results.BLOCKS}
    for text in texts.values():
        assert text.startswith(f"before\n{results.BEGIN}\n")
        assert text.endswith(f"{results.END}\nafter\n")
        assert "stale" not in text
    assert "0.500 (0.0500 of 0.1000)" in texts["README.md"]
    assert "0.400 (0.0400 of 0.1000)" in texts["README.md"]
    numbers = texts["docs/numbers.md"]
    assert "| L1 ([0, 1]) ↓ | 0.0500 | 0.0500 to 0.0500 | 0.0600 | 0.0400 | 0.0700 | 0.1000 |" in numbers
    assert "0.400 of a head is left" in numbers
    assert "landmark jitter 1.50 px (driver 1.25)" in numbers
    assert "lips apart 1.00" in texts["docs/model_card.md"]
    assert "0.400 against 0.300" in texts["docs/model_card.md"]


def test_every_page_has_a_place_for_its_numbers(results):
    for page in results.BLOCKS:
        text = (SCRIPT.parents[1] / page).read_text()
        assert text.count(results.BEGIN) == text.count(results.END) == 1
