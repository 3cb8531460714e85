"""Depth measured on synthetic heads and on clips: baselines, the order of a face, consistency, tables."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dagan.data.clips import Clip, ClipFrames
from dagan.data.synthetic import HEAD
from dagan.data.synthetic.store import StoredClip, synthetic_clips
from dagan.evaluation.depth_clips import clips_table, evaluate_clips
from dagan.evaluation.depth_heads import box_of, evaluate_heads, heads_table, mean_head_of, placed, plane
from dagan.evaluation.metrics.depth import EARS, EYES, NOSE_TIP, face_order, landmark_inconsistency, read
from dagan.evaluation.records import plain
from dagan.models.depth import FaceDepthConfig
from dagan.models.pose import PoseConfig
from dagan.observers import NUM_MESH_POINTS, FaceObservation, HeadPose, ObserverVersion

SIZE = 64
TINY = FaceDepthConfig(base_width=8, decoder_widths=(4, 8, 8, 8, 8))


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> list[StoredClip]:
    return synthetic_clips(range(2), tmp_path_factory.mktemp("heads"), 8, SIZE)


def landmarks() -> np.ndarray:
    """A face's mesh in the middle of the frame: all in its middle, but for the points that are asked about."""
    points = np.tile([32.0, 30.0, 0.0], (NUM_MESH_POINTS, 1))
    numbers = np.random.default_rng(0)
    points[:, :2] += numbers.uniform(-8, 8, (NUM_MESH_POINTS, 2))
    points[NOSE_TIP, :2] = 32, 34
    for corners, x in zip(EYES, (27, 37), strict=True):
        points[list(corners), :2] = x, 27
    points[list(EARS), :2] = [[22, 30], [42, 30]]
    return points


class FixedFace:
    version = ObserverVersion("fixed", "none", "none")

    def observe(self, image: np.ndarray) -> FaceObservation | None:
        if image.max() == 0:
            return None
        return FaceObservation(landmarks(), HeadPose(float(image[0, 0, 0]), 0.0, 0.0), np.zeros(52))


def cone() -> np.ndarray:
    y, x = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    return 0.7 + 0.004 * np.hypot(x - 32, y - 34)


def test_the_order_of_a_face_is_read_at_its_landmarks() -> None:
    assert face_order(cone(), landmarks()) == (True, True, True, True, True)
    assert face_order(2 - cone(), landmarks()) == (False, False, False, False, False)


def test_a_turned_face_may_have_one_eye_before_the_nose() -> None:
    depth = cone()
    depth[24:30, 25:29] = 0.69  # one eye nearer, the mean of both still behind
    order = face_order(depth, landmarks())
    assert order.eyes
    assert not order.each_eye


def test_reading_between_pixels_is_linear() -> None:
    values = np.arange(12.0).reshape(3, 4)
    assert read(values, np.array([[1.0, 1.0]]))[0] == pytest.approx(2.5)
    assert read(values, np.array([[-5.0, 0.5]]))[0] == pytest.approx(0, abs=0.01)


def test_landmarks_that_move_rigidly_are_consistent_and_flattened_ones_are_not() -> None:
    numbers = np.random.default_rng(0)
    points = numbers.normal(size=(20, 3))
    turn, _ = np.linalg.qr(numbers.normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    moved = 1.7 * points @ turn.T + [1, 2, 3]
    assert landmark_inconsistency(points, moved) == pytest.approx(0, abs=1e-6)
    assert landmark_inconsistency(points * [1, 1, 0.3], moved * [1, 1, 0.3]) > 0.1
    assert landmark_inconsistency(points, points * [1, 1, -1]) > 0.1  # a mirror image is another shape


def test_the_fitted_plane_is_exact_on_a_plane() -> None:
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    true = 1 / (1.2 - 0.3 * x + 0.1 * y)
    head = np.hypot(x - 0.5, y - 0.5) < 0.3
    assert np.allclose(plane(true, head), true)


def test_the_mean_head_lies_in_the_heads_box_and_is_nearest_in_its_middle(heads: list[StoredClip]) -> None:
    mean = mean_head_of(heads)
    truth = heads[0].truth()
    box = box_of(truth.part[0] == HEAD)
    depth = placed(mean, box, (SIZE, SIZE))
    middle = depth[(box.top + box.bottom) // 2, (box.left + box.right) // 2]
    assert middle < depth[box.top, box.left]


def test_heads_are_scored_with_baselines_and_poses(heads: list[StoredClip]) -> None:
    torch.manual_seed(0)
    pose = PoseConfig(base_width=8, head_width=8).build().eval()
    report = evaluate_heads(TINY.build().eval(), pose, heads, mean_head_of(heads), frames_per_clip=1)
    assert report.num_frames == report.num_clips == 2
    assert set(report.depth) == {"F_d", "plane (best fit)", "mean head"}
    assert report.depth["mean head"].ordinal > 0.75 > report.depth["F_d"].ordinal
    assert all(score.no_motion == score.truth > 0 for score in report.poses)
    text = heads_table(report)
    assert "| mean head |" in text
    assert text.count("\n| 1 |") == 1
    without = evaluate_heads(TINY.build().eval(), None, heads, mean_head_of(heads), frames_per_clip=1)
    assert without.poses[0].network is None


def test_clips_are_scored_and_frames_without_a_face_are_counted() -> None:
    numbers = np.random.default_rng(0)
    frames = numbers.integers(1, 255, (20, SIZE, SIZE, 3), dtype=np.uint8)
    frames[0] = 0
    clip = ClipFrames(frames, Clip(Path("a.mp4"), "a", "a"))
    candidates = {"cone": lambda frame, points: cone(), "inside out": lambda frame, points: 2 - cone()}
    report = evaluate_clips(candidates, FixedFace(), [clip], frames_per_clip=3)
    assert (report.frames, report.frames_with_face, report.clips) == (3, 2, 1)
    assert report.nearer_than_all == {"cone": 1.0, "inside out": 0.0}
    assert report.inconsistency["cone"] == pytest.approx(0, abs=1e-6)
    assert report.unmoved > 0
    assert "| cone | 100.0 % |" in clips_table(report)


def test_named_tuples_are_plain_json_and_a_missing_number_is_null() -> None:
    assert plain({"pose": HeadPose(1.0, float("nan"), 2.0)}) == {"pose": {"yaw": 1.0, "pitch": None, "roll": 2.0}}
    assert plain((1, 2)) == [1, 2]
