import json

import pytest

from dagan.evaluation.metrics.expression import Change
from dagan.evaluation.observers import ObserverVersion
from dagan.evaluation.report import Expression, Faces, PairProtocol, Report, Sample, Scores, SkippedClip


def scores(l1=0.1, distance=4.0, pose=2.0):
    return Scores(l1=l1, ssim=0.5, psnr=20.0, landmark_distance=distance, head_pose_error=pose)


def sample(generated, unmoved, jaw=0.0, found=True):
    expression = Expression(Change(jaw, jaw / 2), Change(jaw, 0.0)) if found else None
    return Sample("ann__c0", "ann", 3, 20, generated, unmoved, Faces(found, True, True), expression)


@pytest.fixture
def report():
    lost = scores(l1=0.4, distance=None, pose=None)
    return Report(
        model="ours",
        protocol=PairProtocol("self-reenactment", pairs_per_clip=3, min_gap=15, seed=0, size=256),
        observer=ObserverVersion("ruler", "ruler 1.0", "ab" * 32),
        samples=(
            sample(scores(), scores(l1=0.2, distance=16.0), jaw=0.1),
            sample(scores(l1=0.1, distance=2.0), scores(l1=0.2, distance=8.0), jaw=0.3),
            sample(lost, scores(l1=0.2, distance=90.0), found=False),
        ),
        skipped=(SkippedClip("torn", "not a video"),),
    )


def test_a_ratio_is_of_means_over_the_same_pairs(report):
    assert report.comparison("L1").ratio == pytest.approx(0.6 / 0.6)  # all three pairs
    distance = report.comparison("landmark")
    assert distance.ratio == pytest.approx((4 + 2) / (16 + 8))  # the lost face counts on neither side
    assert (distance.generated.count, distance.generated.num_missing, distance.unmoved.num_missing) == (2, 1, 1)


def test_metrics_where_more_is_better_have_no_ratio(report):
    assert report.comparison("PSNR").ratio is None
    assert report.comparison("SSIM").ratio is None


def test_expressions_are_correlated_one_by_one(report):
    found = report.correlations()
    assert found["jaw opening"].compute() == pytest.approx(1)
    assert found["eye closing"].compute() is None  # the generated eyes never moved
    assert found["jaw opening"].num_missing == 1


def test_the_table_shows_ratios_counts_missing_faces_and_the_ruler(report):
    lines = report.to_markdown().splitlines()
    assert "| landmark distance (px) | 3.00 | 12.00 | 0.250 | 2 | 1 |" in lines
    text = "\n".join(lines)
    for part in ("3 pairs of 1 clips", "1 generated, 0 driving, 0 source", "ruler 1.0", "1 clips skipped: torn"):
        assert part in text


def test_the_json_holds_every_record_by_name(report):
    found = json.loads(report.to_json())
    assert found["summary"]["landmark distance (px)"]["ratio"] == pytest.approx(0.25)
    assert found["samples"][2]["generated"]["landmark_distance"] is None
    assert found["samples"][0]["expression"]["jaw_opening"] == {"driving": 0.1, "generated": 0.05}
    assert found["protocol"]["seed"] == 0
    assert found["skipped"] == [{"clip": "torn", "reason": "not a video"}]
