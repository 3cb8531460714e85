import json
from dataclasses import replace

import pytest
from samples import SELF, sample, scores

from dagan.errors import UserError
from dagan.evaluation.compare import compare
from dagan.evaluation.pairs import EvaluationProtocol
from dagan.evaluation.report import Frechet, Report, read_report
from dagan.observers import ObserverVersion

OBSERVERS = {"landmarks": ObserverVersion("evaluator", "evaluator 1.0", "ab" * 32)}
PEOPLE = "abcdefgh"


def run(distances, name="m", **changes):
    samples = tuple(
        sample(scores(distance=d), scores(distance=30.0), person=p, found=d is not None)
        for p, d in zip(PEOPLE, distances, strict=False)
    )
    return replace(Report(model=name, protocol=SELF, observers=OBSERVERS, samples=samples), **changes)


def difference(comparison, title):
    return next(d for d in comparison.differences if d.metric.title.startswith(title))


def test_a_constant_difference_has_an_interval_of_no_width():
    found = difference(compare(run([1.0, 5.0, 9.0, 2.0, 7.0]), run([1.5, 5.5, 9.5, 2.5, 7.5])), "AKD")
    assert found.difference.compute() == pytest.approx(0.5)
    assert found.interval == pytest.approx((0.5, 0.5))
    assert found.verdict == "first is better"


def test_differences_that_go_both_ways_are_no_difference():
    found = difference(compare(run([1.0, 5.0, 9.0, 2.0, 7.0, 4.0]), run([2.0, 4.0, 9.5, 1.5, 7.9, 3.2])), "AKD")
    assert found.interval.low < 0 < found.interval.high
    assert found.verdict == "no clear difference"


def test_pairing_finds_what_two_separate_intervals_hide():
    first, second = run([1.0, 50.0, 9.0, 22.0, 70.0]), run([0.8, 49.5, 8.7, 21.9, 69.4])
    assert difference(compare(first, second), "AKD").verdict == "second is better"
    a, b = (report.tally("AKD").interval for report in (first, second))
    assert a.low < b.high
    assert b.low < a.high


def test_a_system_that_destroys_hard_faces_does_not_win():
    """Its mean over what it kept is lower; the paired means agree on common faces; penalised, it loses."""
    careful, careless = run([1.0, 1.0, 9.0, 9.0, 9.0]), run([1.0, 1.0, None, None, None])
    assert careless.tally("AKD").mean.compute() < careful.tally("AKD").mean.compute()
    found = difference(compare(careful, careless), "AKD")
    assert found.difference.compute() == 0
    assert found.penalised.compute() == pytest.approx(3 * (30 - 9) / 5)
    assert found.verdict == "first is better"


def test_only_common_pairs_count_and_the_others_are_numbered():
    found = compare(run([1.0, 2.0, 3.0]), run([1.0, 2.0]))
    assert (found.num_common, found.num_only_first, found.num_only_second) == (2, 1, 0)


def test_runs_by_different_observers_or_protocols_are_refused():
    other = {"landmarks": ObserverVersion("evaluator", "evaluator 1.0", "cd" * 32)}
    with pytest.raises(UserError, match="different observers for landmarks"):
        compare(run([1.0, 2.0]), run([1.0, 2.0], observers=other))
    with pytest.raises(UserError, match="measure different things"):
        compare(run([1.0]), run([1.0], protocol=EvaluationProtocol("cross-identity", 4, 15, 0, 256)))
    newer = {"landmarks": ObserverVersion("evaluator", "evaluator 2.0", "ab" * 32)}
    assert compare(run([1.0, 2.0]), run([1.0, 2.0], observers=newer)).warnings == (
        "landmarks: evaluator 1.0 and evaluator 2.0",
    )


def test_runs_without_a_common_pair_are_refused():
    with pytest.raises(UserError, match="no pair in common"):
        compare(run([1.0]), run([1.0], samples=(sample(scores(), scores(), person="z"),)))


def test_a_result_reads_back_as_it_was(tmp_path):
    report = run([1.0, None, 3.0], name="ours", frechet=Frechet(1.5, 2.5, 3), unmeasured=("identity",))
    (tmp_path / "evaluation.json").write_text(report.to_json())
    assert read_report(tmp_path) == report == read_report(tmp_path / "evaluation.json")
    assert json.loads(compare(report, report).to_json())["num_common"] == 3


@pytest.mark.parametrize("content", ["{}", "not json", '{"format": "dagan-evaluation-1"}', "[]"])
def test_another_file_is_refused_in_one_line(content, tmp_path):
    file = tmp_path / "other.json"
    file.write_text(content)
    with pytest.raises(UserError, match="not a result of"):
        read_report(file)


def test_a_hostile_name_stays_in_its_line():
    text = compare(run([1.0, 2.0], name="a|b\n| <script>"), run([1.0, 2.0])).to_markdown()
    assert text.startswith("- first: a\\|b \\| &lt;script&gt;\n- second: m\n")
