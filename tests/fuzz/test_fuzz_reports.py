"""Results of an evaluation (JSON), and the file that an interrupted one goes on with."""

import json
import warnings

import pytest
from hypothesis import strategies as st
from mutations import changed, damaged, fuzzed, takes_or_refuses

from dagan.evaluation.compare import compare
from dagan.evaluation.job import JobResult
from dagan.evaluation.metrics.accumulators import Change
from dagan.evaluation.pairs import EvaluationProtocol
from dagan.evaluation.progress_file import FILE, ProgressFile
from dagan.evaluation.records import Faces, Following, FrameName, Sample, Scores, SkippedClip
from dagan.evaluation.report import RESULT, Frechet, Report, read_report
from dagan.observers import ObserverVersion

FRAME = FrameName("ann__c0", "ann", 3)
SCORES = Scores(l1=0.1, ssim=0.5, psnr=20.0, landmark_distance=4.0, head_pose_error=2.0, akd=4.0)
SAMPLE = Sample(
    "ann 0", FRAME, FRAME, SCORES, SCORES, Faces(True, True, True), Following(*[Change(0.1, 0.2)] * 5), True, FRAME
)
REPORT = Report(
    model="ours",
    protocol=EvaluationProtocol("self-reenactment", 4, 15, 0, 256),
    observers={"landmarks": ObserverVersion("evaluator", "evaluator 1.0", "ab" * 32)},
    samples=(SAMPLE, SAMPLE._replace(key="ann 1", following=None, rest=None)),
    skipped=(SkippedClip("torn", "not a video"),),
    frechet=Frechet(1.0, 2.0, 2),
    notes=("a note",),
)
TEXT = REPORT.to_json()


@pytest.fixture
def read(tmp_path):
    def written(content):
        path = tmp_path / RESULT
        path.write_bytes(content)

        def used():
            report = read_report(path)
            return report.to_markdown(), compare(report, REPORT)

        takes_or_refuses(used)

    return written


def go_on(folder, content):
    (folder / FILE).write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        takes_or_refuses(lambda: ProgressFile(folder / FILE, "one"))


@fuzzed(changed(json.loads(TEXT)), share=2)
def test_any_values_are_a_result_or_are_refused(read, plain):
    read(json.dumps(plain).encode())


@fuzzed(damaged(TEXT.encode()))
def test_any_bytes_are_a_result_or_are_refused(read, content):
    read(content)


@fuzzed(st.data())
def test_an_evaluation_goes_on_after_any_damage_to_what_it_had_written(tmp_path, data):
    (tmp_path / FILE).unlink(missing_ok=True)
    ProgressFile(tmp_path / FILE, "one").add(JobResult("ann", REPORT.samples, None, None, 0))
    first, second = (tmp_path / FILE).read_text().splitlines()
    line = data.draw(changed(json.loads(second)).map(json.dumps))
    go_on(tmp_path, "\n".join([first, line, ""]).encode())
    go_on(tmp_path, data.draw(damaged("\n".join([first, second, ""]).encode())))
