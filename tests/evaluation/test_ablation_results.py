"""Verdicts on runs made by hand, whose differences are known."""

import json
import math

import numpy as np
import pytest
from samples import SELF, sample, scores

from dagan.evaluation.ablation import Cell
from dagan.evaluation.ablation_results import CLAIMS, TITLES, Results, SeedNoise, UnfinishedRun, published, read_curve
from dagan.evaluation.records import BY_FIELD
from dagan.evaluation.report import Report
from dagan.observers import ObserverVersion

RULER = {"landmarks": ObserverVersion("evaluator", "evaluator 1.0", "ab" * 32)}
PEOPLE = [f"p{index}" for index in range(12)]
L1, AKD = BY_FIELD["l1"], BY_FIELD["akd"]


def report(level: float, protocol: str, lost: tuple[str, ...] = ()) -> Report:
    """L1 is `level` for everybody, give or take what belongs to the person; landmarks likewise, unless lost."""
    still = scores(l1=0.5, distance=20.0)
    samples = []
    for place, person in enumerate(PEOPLE):
        own = 0.01 * math.sin(7 * place)
        distance = None if person in lost else 10 * level + own
        samples.append(sample(scores(l1=level + own, distance=distance, pose=None), still, person=person))
    shape = SELF if protocol == "self" else SELF._replace(name="cross-identity")
    return Report(model="made by hand", protocol=shape, observers=RULER, samples=tuple(samples))


@pytest.fixture
def ablation(tmp_path):
    def make(levels: dict[str, list[float]], lost: tuple[str, ...] = ()) -> Results:
        for variant, seeds in levels.items():
            for seed, level in enumerate(seeds):
                folder = Cell(variant, seed).folder(tmp_path)
                folder.mkdir(parents=True)
                (folder / "trained.json").write_text(json.dumps({"steps": 3, "hours": 0.1}))
                (folder / "metrics.jsonl").write_text('{"step": 3, "time": 1.0, "perceptual": 2.0}\n')
                for protocol in ("self", "cross"):
                    (folder / f"{protocol}.json").write_text(report(level, protocol, lost).to_json())
        return Results(tmp_path)

    return make


def verdict(results: Results, first: str = "baseline", second: str = "baseline_fdn") -> str:
    found = results.difference(L1, "self", first, second)
    assert found is not None
    return found.verdict


def test_a_difference_larger_than_seed_noise_is_told_with_its_direction(ablation):
    results = ablation({"baseline": [0.300, 0.302], "baseline_fdn": [0.250, 0.252], "baseline_cam": [0.350, 0.351]})
    assert verdict(results) == "better"
    assert verdict(results, "baseline", "baseline_cam") == "worse"
    assert [found.is_told for found in results.differences() if found.metric == L1] == [True, True]


def test_a_difference_smaller_than_seed_noise_cannot_be_told(ablation):
    results = ablation({"baseline": [0.30, 0.40], "baseline_fdn": [0.28, 0.39]})
    assert verdict(results) == "cannot be told: within seed noise"


def test_one_seed_tells_nothing(ablation):
    results = ablation({"baseline": [0.30], "baseline_fdn": [0.10]})
    assert verdict(results) == "cannot be told: better for these people, with one seed"
    assert results.noise(L1, "self").freedom == 0


def test_equal_runs_are_within_the_spread_of_people(ablation):
    results = ablation({"baseline": [0.3, 0.3], "baseline_fdn": [0.3, 0.3]})
    assert verdict(results) == "cannot be told: within the spread of people"


def test_noise_is_the_pooled_deviation_of_runs_that_differ_in_their_seed(ablation):
    levels = {"baseline": [0.30, 0.34, 0.31], "baseline_fdn": [0.20, 0.22], "baseline_cam": [0.5]}
    noise = ablation(levels).noise(L1, "self")
    squares = sum(np.var(seeds) * len(seeds) for seeds in levels.values())
    assert noise.freedom == 3
    assert noise.deviation == pytest.approx(math.sqrt(squares / 3))


def test_the_reach_of_noise_is_students(ablation):
    assert SeedNoise(1.0, 0).reach(2, 2) is None
    assert SeedNoise(1.0, 2).reach(2, 2) == pytest.approx(4.303)
    assert SeedNoise(1.0, 100).reach(1, 1) == pytest.approx(1.960 * math.sqrt(2))


def test_a_lost_face_costs_the_worst_value_of_all_runs(ablation):
    results = ablation({"baseline": [0.3], "baseline_fdn": [0.3]}, lost=("p0",))
    assert results.penalty(AKD, "self") == 20.0
    found = results.tally(AKD, "baseline", "self")
    assert found.coverage == pytest.approx(11 / 12)
    assert found.penalised > found.mean.compute()


def test_seeds_of_a_variant_are_measured_together(ablation):
    results = ablation({"baseline": [0.2, 0.4]})
    found = results.tally(L1, "baseline", "self")
    assert found.mean.count == 2 * len(PEOPLE)
    assert found.mean.compute() == pytest.approx(0.3, abs=0.01)


def test_a_run_that_is_not_measured_is_unfinished(ablation, tmp_path):
    ablation({"baseline": [0.2], "dagan": [0.3]})
    (Cell("dagan", 0).folder(tmp_path) / "cross.json").unlink()
    results = Results(tmp_path)
    assert results.variants == ["baseline"]
    assert results.unfinished == [UnfinishedRun(Cell("dagan", 0), 3, True)]
    assert results.differences() == []


def test_the_papers_rows_and_claims_are_ours_by_name():
    assert TITLES["dagan_sa"] == "Ours (SA)"
    assert TITLES["fomm_fdn_cam"] == "FOMM w/ FDN+CAM"
    assert published("dagan", "head_pose_error") == 2.33
    assert {name for claim in CLAIMS for name in claim} == set(TITLES)


def test_steps_that_were_made_twice_count_once_in_a_curve(tmp_path):
    lines = [{"step": 1, "x": 1}, {"step": 2, "x": 2}, {"step": 2, "validation_l1": 3}, {"step": 2, "x": 4}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_curve(tmp_path) == [lines[0], lines[3], lines[2]]
