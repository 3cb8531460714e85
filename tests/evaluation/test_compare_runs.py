import json
from dataclasses import replace

import pytest
from samples import SELF, sample, scores

from dagan.errors import UserError
from dagan.evaluation.compare import compare
from dagan.evaluation.pairs import EvaluationProtocol
from dagan.evaluation.records import FrameName, Shown
from dagan.evaluation.report import Frechet, Report, read_report
from dagan.observers import ObserverVersion

OBSERVERS = {"landmarks": ObserverVersion("evaluator", "evaluator 1.0", "ab" * 32)}
MATTE = {"matte": ObserverVersion("matte", "torch", "cd" * 32)}
HEAD = Shown(head=True)
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
    warnings = compare(run([1.0, 2.0]), run([1.0, 2.0], observers=newer)).warnings
    assert warnings[0] == "landmarks: evaluator 1.0 and evaluator 2.0"


def test_too_few_pairs_or_people_to_tell_are_said():
    few = compare(run([1.0, 2.0]), run([1.0, 2.0])).warnings
    assert few == ("2 pairs of 2 people are too few to tell the systems apart; use at least 30 pairs of 5 people",)
    one = tuple(sample(scores(), scores(), number=n) for n in range(40))
    assert "40 pairs of 1 people" in compare(run([], samples=one), run([], samples=one)).warnings[0]
    many = tuple(sample(scores(), scores(), person=p, number=n) for n in range(6) for p in PEOPLE[:5])
    assert compare(run([], samples=many), run([], samples=many)).warnings == ()


def test_a_list_and_its_exported_frames_are_paired_by_their_pixels():
    listed = run([1.0, 2.0, 3.0])
    marked = [found._replace(images=f"pixels {n}") for n, found in enumerate(listed.samples)]
    exported = [
        found._replace(source=FrameName(f"source/{n}", "x", 0), driving=FrameName(f"driving/{n}", "x", 0))
        for n, found in enumerate(marked)
    ]
    first, second = (replace(listed, samples=tuple(found)) for found in (marked, exported[:2]))
    found = compare(first, second)
    assert (found.num_common, found.num_only_first) == (2, 1)
    assert difference(found, "AKD").difference.compute() == 0
    unmarked = replace(second, samples=tuple(found._replace(images="") for found in second.samples))
    with pytest.raises(UserError, match="no pair in common"):
        compare(listed, unmarked)


def test_other_motion_is_a_warning_and_no_refusal():
    relative, absolute = (run([1.0, 2.0], protocol=SELF._replace(motion=m)) for m in ("from source", "absolute"))
    assert compare(relative, absolute).warnings[0] == (
        "the runs transfer motion differently: motion relative to the source frame; absolute motion"
    )


def test_what_is_best_at_one_has_no_winner():
    """More fine detail is not better: it may be noise."""
    runs = [
        replace(run([1.0] * 8), samples=tuple(s._replace(generated=s.generated._replace(detail=d), shown=HEAD)
                                              for s in run([1.0] * 8).samples), observers=OBSERVERS | MATTE)
        for d in (0.5, 1.5)
    ]  # fmt: skip
    assert difference(compare(*runs), "head: fine detail (ratio)").verdict == "second is larger"


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
