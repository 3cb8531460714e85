from typing import NamedTuple

import pytest
import torch
from moving_portrait import write_clip
from torch import Tensor

from dagan.errors import UserError
from dagan.evaluation.run import evaluate_self_reenactment


class Answer(NamedTuple):
    generated: Tensor


def source_back(source: Tensor, driving: Tensor) -> Answer:
    return Answer(source)


def driving_back(source: Tensor, driving: Tensor) -> Answer:
    return Answer(driving)


def black(source: Tensor, driving: Tensor) -> Answer:
    return Answer(torch.zeros_like(driving))


def evaluate(model, clips, evaluator, **options):
    return evaluate_self_reenactment(model, clips, evaluator=evaluator, pairs_per_clip=2, **options)


def test_the_driving_frame_scored_as_if_generated_is_perfect(clips, evaluator):
    report = evaluate(driving_back, clips, evaluator)
    assert [report.tally(name).mean.compute() for name in ("L1", "landmark", "head-pose")] == [0, 0, 0]
    assert report.tally("SSIM").mean.compute() == pytest.approx(1)
    assert [report.tally(name).ratio for name in ("L1", "landmark", "head-pose")] == [0, 0, 0]
    assert all(found.compute() == pytest.approx(1) for found in report.correlations().values())


def test_the_unmoved_source_has_ratio_one_and_the_distance_that_the_clip_was_moved_by(clips, evaluator):
    report = evaluate(source_back, clips, evaluator)
    assert [report.tally(name).ratio for name in ("L1", "landmark", "head-pose")] == [1, 1, 1]
    gaps = [abs(sample.source.frame - sample.driving.frame) for sample in report.samples]
    for sample, gap in zip(report.samples, gaps, strict=True):
        assert sample.generated == sample.unmoved
        assert sample.generated.landmark_distance == pytest.approx(3 * gap, abs=2)
    assert report.num_missing_faces() == {"generated": 0, "driving": 0, "source": 0}


def test_a_black_frame_is_a_missing_face_and_not_a_better_score(clips, evaluator):
    report = evaluate(black, clips, evaluator)
    assert report.num_missing_faces() == {"generated": 4, "driving": 0, "source": 0}
    distance = report.tally("landmark")
    assert (distance.ratio, distance.mean.count, distance.mean.num_missing) == (None, 0, 4)
    assert report.tally("L1").ratio > 1
    assert report.tally("L1").mean.num_missing == 0
    assert all(found.num_missing == 4 for found in report.correlations().values())


def test_one_destroyed_face_leaves_both_sides_of_the_ratio(clips, evaluator):
    answers = iter([black, source_back, source_back, source_back])
    report = evaluate(lambda source, driving: next(answers)(source, driving), clips, evaluator)
    distance = report.tally("landmark")
    assert (distance.ratio, distance.mean.count, distance.mean.num_missing) == (1, 3, 1)


def test_clips_that_give_no_pairs_are_listed_with_the_reason(tmp_path, portrait, evaluator):
    write_clip(tmp_path / "ann__c0", portrait)
    write_clip(tmp_path / "short__c0", portrait, num_frames=15)
    (tmp_path / "torn__c0.mp4").write_bytes(b"not a video")
    seen = []
    report = evaluate(source_back, tmp_path, evaluator, progress=lambda *counts: seen.append(counts))
    assert [skipped.clip for skipped in report.skipped] == ["short__c0", "torn__c0"]
    assert "15 frames; at least 16" in report.skipped[0].reason
    assert seen == [(1, 3, 2), (2, 3, 2), (3, 3, 2)]


def test_a_folder_without_one_pair_is_the_users_to_know(tmp_path, portrait, evaluator):
    write_clip(tmp_path / "short__c0", portrait, num_frames=2)
    with pytest.raises(UserError, match=r"no pairs to evaluate.*short__c0"):
        evaluate(source_back, tmp_path, evaluator)


def test_an_image_that_is_not_finite_is_refused(clips, evaluator):
    with pytest.raises(UserError, match="not finite"):
        evaluate(lambda source, driving: Answer(driving * float("nan")), clips, evaluator)


def test_an_image_of_another_size_is_refused(clips, evaluator):
    with pytest.raises(ValueError, match=r"\(1, 3, 256, 128\)"):
        evaluate(lambda source, driving: Answer(driving[..., ::2]), clips, evaluator)


def test_the_model_gets_images_between_zero_and_one_and_no_gradients(clips, evaluator):
    def model(source: Tensor, driving: Tensor) -> Answer:
        assert source.shape == driving.shape == (1, 3, 256, 256)
        assert 0 <= float(source.min()) < 0.2 < 0.8 < float(source.max()) <= 1
        assert not torch.is_grad_enabled()
        return Answer(source)

    assert len(evaluate(model, clips, evaluator, limit=1).samples) == 2
