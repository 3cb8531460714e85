"""Whole evaluations: protocols, interrupted runs, several processes, lists, images of other systems."""

import os
import shutil
import sys

import numpy as np
import pytest
from known_quality import DRIVING, UNMOVED, KnownQuality
from moving_portrait import write_clip
from PIL import Image

from dagan.data.pair_lists import write_pair_list
from dagan.data.protocols import ReenactmentPair
from dagan.data.triples import export_pairs
from dagan.errors import UserError
from dagan.evaluation import run as run_module
from dagan.evaluation.compare import compare
from dagan.evaluation.evaluator import EvaluatorConfig
from dagan.evaluation.pairs import Selection, select_pairs
from dagan.evaluation.report import read_report
from dagan.evaluation.run import evaluate, make_plan
from dagan.evaluation.systems import GeneratedFolder, SystemConfig
from dagan.workers import Processes, RayCluster

LIGHT = EvaluatorConfig(identity="none", lpips="none")


def plan(clips, system=UNMOVED, **choice):
    system = KnownQuality(system) if isinstance(system, str) else system
    return make_plan(Selection(root=str(clips), pairs_per_clip=2, **choice), system, LIGHT)


@pytest.fixture
def pairs(clips):
    jobs, _, _ = select_pairs(Selection(root=str(clips), pairs_per_clip=2))
    return [pair for job in jobs for pair in job.pairs()]


def test_cross_identity_measures_only_what_needs_no_truth(clips):
    report = evaluate(plan(clips, protocol="cross"))
    assert {sample.source.identity for sample in report.samples} == {"ann", "bob"}
    assert all(sample.source.identity != sample.driving.identity for sample in report.samples)
    assert report.samples[0].generated.l1 is None
    assert {metric.field for metric in report.metrics()} == {"head_pose_error", "aucon"}
    assert report.frechet is None


class AtTheThird(SystemConfig):
    """Gives the source back and measures motion from the third frame of the driver."""

    name = "at the third"

    def fingerprint(self):
        return self.name

    def build(self, motion="given"):
        assert motion == "from best"
        return self

    def rest_frame(self, pair, source):
        return 2

    def generate(self, pair, images):
        assert images.rest is not None
        return images.source


def test_relative_motion_is_measured_from_the_frame_that_is_chosen_and_the_record_names_it(clips, tmp_path):
    report = evaluate(plan(clips, AtTheThird(), protocol="cross", motion="relative"))
    assert {(sample.rest.identity, sample.rest.frame) for sample in report.samples} == {("ann", 2), ("bob", 2)}
    third = [sample.following.head_yaw.driving for sample in report.samples]
    first = evaluate(plan(clips, protocol="cross", motion="relative", rest="first"))
    assert {sample.rest.frame for sample in first.samples} == {0}
    (warning,) = [line for line in compare(first, report).warnings if "motion" in line]
    assert "the driver's first frame; motion relative to the driver's frame closest to the source" in warning
    assert third != [sample.following.head_yaw.driving for sample in first.samples]
    (tmp_path / "evaluation.json").write_text(report.to_json())
    assert read_report(tmp_path).samples == report.samples


def test_another_systems_rest_frames_are_not_known(clips):
    with pytest.raises(UserError, match="use --rest first"):
        evaluate(plan(clips, protocol="cross", motion="relative"))


def test_reconstruction_drives_each_clip_with_its_first_frame(clips):
    report = evaluate(plan(clips, protocol="reconstruction", every=6))
    assert [(s.source.frame, s.driving.frame) for s in report.samples] == [(0, 0), (0, 6), (0, 12)] * 2
    assert report.samples[0].generated.l1 == 0


def test_an_interrupted_run_goes_on_where_it_stopped(clips, tmp_path, monkeypatch):
    file, done = tmp_path / "unfinished.jsonl", []
    whole = evaluate(plan(clips))

    def interrupt(*counts):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(plan(clips), progress_file=file, progress=interrupt)
    assert len(file.read_text().splitlines()) == 2  # the key and one job
    with file.open("a") as stream:
        stream.write('{"job": 1, "sampl')  # killed while it wrote
    do_here = run_module.do_here
    monkeypatch.setattr(run_module, "do_here", lambda p, todo, *rest: done.extend(todo) or do_here(p, todo, *rest))
    resumed = evaluate(plan(clips), progress_file=file)
    assert done == [1]
    assert resumed == whole


def test_whole_videos_are_watched_over_time_and_an_interruption_loses_nothing(clips, tmp_path):
    file = tmp_path / "unfinished.jsonl"
    whole = evaluate(plan(clips, DRIVING, protocol="reconstruction"), progress_file=file)
    assert [(motion.clip, motion.num_frames) for motion in whole.motions] == [("ann__c0", 18), ("bob__c0", 18)]
    for motion in whole.motions:
        assert motion.jitter == motion.driver_jitter > 0
    assert evaluate(plan(clips, DRIVING, protocol="reconstruction"), progress_file=file) == whole
    (tmp_path / "evaluation.json").write_text(whole.to_json())
    assert read_report(tmp_path).motions == whole.motions
    assert "landmark jitter" in whole.to_markdown()
    assert evaluate(plan(clips, DRIVING, protocol="reconstruction", every=9)).motions == ()


def test_an_unfinished_run_of_something_else_is_not_continued(clips, tmp_path):
    file = tmp_path / "unfinished.jsonl"
    evaluate(plan(clips), progress_file=file)
    with pytest.warns(UserWarning, match="of another evaluation"):
        report = evaluate(plan(clips, DRIVING), progress_file=file)
    assert report.tally("L1").mean.compute() == 0


@pytest.mark.data
def test_features_survive_an_interruption(clips, tmp_path, weights_folder):
    folder = str(weights_folder)
    full = plan(clips)._replace(evaluator=EvaluatorConfig(identity_weights=folder, lpips_weights=folder))
    file = tmp_path / "unfinished.jsonl"
    first = evaluate(full, progress_file=file)
    assert first.frechet is not None
    assert first.frechet.generated == first.frechet.unmoved > 0
    assert evaluate(full, progress_file=file).frechet == pytest.approx(first.frechet)
    assert {"identity", "LPIPS"} <= first.observers.keys()


@pytest.mark.slow
def test_two_processes_find_what_one_finds(clips):
    assert evaluate(plan(clips), workers=Processes(2)) == evaluate(plan(clips))


@pytest.mark.slow
def test_a_cluster_gives_the_table_of_one_process_to_the_last_digit(clips, monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # 15 by default: starved where other work runs
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # for modules of these tests
    pytest.importorskip("ray.data")
    on_cluster = evaluate(plan(clips), workers=RayCluster(count=1), threads=1)
    assert on_cluster.to_markdown() == evaluate(plan(clips)).to_markdown()


@pytest.mark.slow
def test_what_a_worker_complains_about_reaches_the_user(clips):
    with pytest.raises(UserError, match="no such folder of generated images"):
        evaluate(plan(clips, GeneratedFolder(path="absent", size=256)), workers=Processes(2))


def test_a_list_is_followed_and_changed_frames_are_counted(clips, pairs, tmp_path):
    copy = tmp_path / "clips"
    shutil.copytree(clips, copy)
    file = tmp_path / "list.csv"
    write_pair_list(file, clips, pairs)
    drawn, listed = evaluate(plan(clips)), evaluate(plan(copy, pair_list=str(file)))
    assert [s.generated for s in listed.samples] == [s.generated for s in drawn.samples]
    assert listed.protocol.name == "self-reenactment"
    assert listed.notes == ()
    changed = copy / "ann__c0" / f"{pairs[0].source.number:02}.png"
    Image.fromarray(np.asarray(Image.open(changed)) // 2).save(changed)
    assert "1 frames differ from the sha256" in evaluate(plan(copy, pair_list=str(file))).notes[0]


def test_a_list_of_different_clips_is_cross_identity_and_nothing_else(clips, pairs, tmp_path):
    file = tmp_path / "list.csv"
    crossed = ReenactmentPair("x", pairs[0].source, pairs[-1].driving)
    write_pair_list(file, clips, [crossed])
    assert plan(clips, pair_list=str(file)).protocol.name == "cross-identity"
    with pytest.raises(UserError, match="cannot be evaluated as self"):
        plan(clips, pair_list=str(file), protocol="self")


def test_foreign_images_beside_source_and_driving_score_as_the_same_images_of_ours(clips, pairs, tmp_path):
    export_pairs(pairs, tmp_path, 256)
    (tmp_path / "source").joinpath("000003.png").rename(tmp_path / "kept.png")
    shutil.copytree(tmp_path / "source", tmp_path / "theirs")
    (tmp_path / "kept.png").rename(tmp_path / "source" / "000003.png")
    report = evaluate(plan(tmp_path, GeneratedFolder(path=str(tmp_path / "theirs"), size=256, label="theirs")))
    ours = evaluate(plan(clips))
    assert [s.generated for s in report.samples[:3]] == [s.generated for s in ours.samples[:3]]
    assert [s.has_image for s in report.samples] == [True, True, True, False]
    assert report.tally("L1").coverage == 0.75
    assert report.tally("L1").penalised > report.tally("L1").mean.compute()
    assert report.failures() == [report.samples[3]]


def test_a_folder_without_one_image_for_the_pairs_is_the_users_to_know(clips, pairs, tmp_path):
    (tmp_path / "empty").mkdir()
    write_pair_list(tmp_path / "list.csv", clips, pairs)
    system = GeneratedFolder(path=str(tmp_path / "empty"), size=256)
    with pytest.raises(UserError, match="has no image for any of 4 pairs"):
        evaluate(plan(clips, system, pair_list=str(tmp_path / "list.csv")))


def tallies(report, *names):
    return [report.tally(name) for name in names]


def test_the_driving_frame_in_the_place_of_the_generated_one_is_perfect(clips):
    report = evaluate(plan(clips, DRIVING))
    faces = tallies(report, "L1", "landmark", "head-pose")
    assert [found.mean.compute() for found in faces] == [0, 0, 0]
    assert [found.ratio for found in faces] == [0, 0, 0]
    assert report.tally("SSIM").mean.compute() == pytest.approx(1)
    assert all(found.compute() == pytest.approx(1) for found in report.correlations().values())


def test_the_unmoved_source_has_ratio_one_and_the_distance_by_which_the_clip_moved(clips):
    report = evaluate(plan(clips))
    assert [found.ratio for found in tallies(report, "L1", "landmark", "head-pose")] == [1, 1, 1]
    for sample in report.samples:
        gap = abs(sample.source.frame - sample.driving.frame)
        assert sample.generated == sample.unmoved
        assert sample.generated.landmark_distance == pytest.approx(3 * gap, abs=2)
    assert report.num_missing_faces() == {"generated": 0, "driving": 0, "source": 0}


class Destroying(SystemConfig):
    """Gives the source back, but black images for the first `count` pairs."""

    name = "destroying"

    def __init__(self, count):
        self.count = count

    def fingerprint(self):
        return self.name

    def build(self, motion="given"):
        return self

    def generate(self, pair, images):
        self.count -= 1
        return np.zeros_like(images.source) if self.count >= 0 else images.source


def test_a_black_frame_is_a_missing_face_and_not_a_better_score(clips):
    report = evaluate(plan(clips, Destroying(4)))
    assert report.num_missing_faces() == {"generated": 4, "driving": 0, "source": 0}
    distance = report.tally("landmark")
    assert (distance.ratio, distance.mean.count, distance.mean.num_missing) == (None, 0, 4)
    assert report.tally("L1").ratio > 1
    assert report.tally("L1").mean.num_missing == 0
    assert all(found.num_missing == 4 for found in report.correlations().values())


def test_one_destroyed_face_is_left_out_on_both_sides_of_the_ratio(clips):
    distance = evaluate(plan(clips, Destroying(1))).tally("landmark")
    assert (distance.ratio, distance.mean.count, distance.mean.num_missing) == (1, 3, 1)


def test_clips_that_give_no_pairs_are_listed_with_the_reason(tmp_path, portrait):
    write_clip(tmp_path / "ann__c0", portrait)
    write_clip(tmp_path / "short__c0", portrait, num_frames=15)
    (tmp_path / "torn__c0.mp4").write_bytes(b"not a video")
    seen = []
    report = evaluate(plan(tmp_path), progress=lambda *counts: seen.append(counts))
    assert [skipped.clip for skipped in report.skipped] == ["short__c0", "torn__c0"]
    assert "15 frames; at least 16" in report.skipped[0].reason
    assert seen == [(1, 3, 2), (2, 3, 2), (3, 3, 2)]


def test_a_folder_without_one_pair_is_the_users_to_know(tmp_path, portrait):
    write_clip(tmp_path / "short__c0", portrait, num_frames=2)
    with pytest.raises(UserError, match=r"no pairs to evaluate.*short__c0"):
        evaluate(plan(tmp_path))


def test_the_report_says_which_observers_are_missing_and_why(clips):
    report = evaluate(plan(clips)._replace(evaluator=EvaluatorConfig()))
    assert report.unmeasured[0] == "identity (SFace weights not found; see docs/evaluate.md)"
    (line,) = [line for line in report.to_markdown().splitlines() if line.startswith("- observers: ")]
    assert "landmarks (mediapipe_face_landmarker, all points)" in line
    assert "not measured: identity (SFace weights not found; see docs/evaluate.md)" in line
