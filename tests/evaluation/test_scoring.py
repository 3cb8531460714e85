"""One pair scored by a stub evaluator that sees four different faces: every number is computed by hand here.

Source, driving, rest and generated image are grey pictures of four levels; the stub sees a known face in each level.
"""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dagan.data.clips import Clip
from dagan.data.protocols import Frame, ReenactmentPair
from dagan.evaluation.evaluator import Evaluator, Look
from dagan.evaluation.metrics.lpips import Features
from dagan.evaluation.records import Faces, FrameName, Scores
from dagan.evaluation.regions import Regions
from dagan.evaluation.scoring import pair_key, score_pair
from dagan.evaluation.systems import PairImages
from dagan.images import to_tensor
from dagan.observers import HeadPose
from dagan.observers.blendshape_units import BLINK, BROW_RAISE, JAW_DROP, SMILE

SIDE = 128
SOURCE, DRIVING, REST, GENERATED = 51, 102, 153, 204  # grey levels: 0.2, 0.4, 0.6, 0.8
UNITS = (BROW_RAISE, "another unit", SMILE, BLINK, JAW_DROP)  # an order of its own: units are found by name
THRESHOLDS = np.full(5, 0.5, np.float32)


def turned(degrees):
    """A unit-length identity."""
    return np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))], np.float32)


FACES = {  # landmarks are moved as a whole; units in the order of UNITS: brow, other, smile, blink, jaw
    SOURCE: ((10, 20), HeadPose(1.0, 2.0, 3.0), (0.1, 0.9, 0.2, 0.3, 0.4), turned(0), 1.0),
    DRIVING: ((13, 24), HeadPose(10.0, 30.0, 50.0), (0.7, 0.1, 0.9, 0.8, 0.6), turned(90), 2.0),
    REST: ((11, 20), HeadPose(4.0, 5.0, 6.0), (0.5, 0.2, 0.3, 0.6, 0.1), turned(150), 4.0),
    GENERATED: ((13, 30), HeadPose(8.0, 25.0, 40.0), (0.6, 0.3, 0.4, 0.7, 0.9), turned(60), 7.0),
}


class FourFaces(Evaluator):
    """An evaluator without observers: it knows the four pictures."""

    def __init__(self):
        self.action_units = SimpleNamespace(names=UNITS, thresholds=THRESHOLDS)
        self.lpips = SimpleNamespace(distance=lambda a, b, region=None: (a.pooled - b.pooled).abs().sum(1))
        self.head = self.mouth = None

    def regions(self, source, driving):
        assert (source.image.mean(), driving.image.mean()) == pytest.approx((SOURCE / 255, DRIVING / 255))
        return Regions(self.head, self.mouth)

    def look(self, image):
        picture = to_tensor(image)
        if image[0, 0, 0] not in FACES:
            return Look(picture, None, None, None, None, None)
        shift, pose, units, identity, feature = FACES[int(image[0, 0, 0])]
        landmarks = np.zeros((3, 2)) + shift
        features = Features((), torch.tensor([[feature]]))
        return Look(picture, landmarks, pose, np.array(units, np.float32), identity, features)


def grey(level):
    return np.full((SIDE, SIDE, 3), level, np.uint8)


def frame(name, number):
    return Frame(Clip(Path(f"{name}.mp4"), name, name), number)


PAIR = ReenactmentPair("key", frame("ann", 3), frame("bob", 7), frame("bob", 5))
IMAGES = PairImages(grey(SOURCE), grey(DRIVING), grey(REST))


def score(generated, has_truth=True, images=IMAGES, pair=PAIR, **regions):
    evaluator = FourFaces()
    vars(evaluator).update(regions)
    return score_pair(pair, images, generated, evaluator, has_truth)


def test_every_metric_compares_with_the_image_that_it_should():
    scores = score(grey(GENERATED)).sample.generated
    assert scores.l1 == pytest.approx(0.4)  # |0.8 - 0.4|
    assert scores.psnr == pytest.approx(10 * math.log10(1 / 0.4**2), abs=1e-4)
    assert scores.ssim == pytest.approx((2 * 0.32 + 1e-4) / (0.64 + 0.16 + 1e-4), abs=1e-5)  # of two flat images
    assert scores.lpips == pytest.approx(5)  # |7 - 2|
    assert scores.landmark_distance == pytest.approx(6)  # moved by (0, 6) pixels
    assert scores.akd == pytest.approx((0 + 6) / 2 * 256 / SIDE)
    assert scores.aed == pytest.approx(2 - 2 * math.cos(math.radians(30)), abs=1e-6)  # 60 and 90 degrees
    assert scores.csim == pytest.approx(0.5, abs=1e-6)  # with the source: 60 and 0 degrees
    assert scores.head_pose_error == pytest.approx(math.sqrt((2**2 + 5**2 + 10**2) / 3))
    assert scores.aucon == pytest.approx(4 / 5)  # driving has brow, smile, blink and jaw, generated all but smile


def test_the_unmoved_source_is_scored_by_every_metric_as_if_it_had_been_generated():
    scores = score(grey(GENERATED)).sample.unmoved
    assert scores.l1 == pytest.approx(0.2)
    assert scores.psnr == pytest.approx(10 * math.log10(1 / 0.2**2), abs=1e-4)
    assert scores.ssim == pytest.approx((2 * 0.08 + 1e-4) / (0.04 + 0.16 + 1e-4), abs=1e-5)
    assert scores.lpips == pytest.approx(1)
    assert scores.landmark_distance == pytest.approx(5)  # moved by (3, 4)
    assert scores.akd == pytest.approx((3 + 4) / 2 * 256 / SIDE)
    assert scores.aed == pytest.approx(2)  # 0 and 90 degrees
    assert scores.csim == pytest.approx(1)
    assert scores.head_pose_error == pytest.approx(math.sqrt((9**2 + 28**2 + 47**2) / 3))
    assert scores.aucon == 0  # the source has the other unit alone


def test_the_drivers_change_counts_from_its_rest_frame_and_the_results_from_the_source():
    following = score(grey(GENERATED)).sample.following
    changes = {name: tuple(round(x, 5) for x in change) for name, change in following._asdict().items()}
    assert changes == {
        "jaw_opening": (0.5, 0.5),  # 0.6 - 0.1 and 0.9 - 0.4
        "eye_closing": (0.2, 0.4),  # 0.8 - 0.6 and 0.7 - 0.3
        "head_yaw": (6, 7),  # 10 - 4 and 8 - 1
        "smile": (0.6, 0.2),  # 0.9 - 0.3 and 0.4 - 0.2
        "brow_raise": (0.2, 0.5),  # 0.7 - 0.5 and 0.6 - 0.1
    }


def test_without_a_rest_frame_both_changes_count_from_the_source():
    absolute = IMAGES._replace(rest=None)
    following = score(grey(GENERATED), images=absolute, pair=PAIR._replace(rest=None)).sample.following
    assert following.head_yaw == (9, 7)
    assert following.smile == pytest.approx((0.7, 0.2))


def test_without_truth_only_identity_pose_and_action_units_are_measured():
    scores = score(grey(GENERATED), has_truth=False).sample.generated
    measured = {name for name, value in scores._asdict().items() if value is not None}
    assert measured == {"csim", "head_pose_error", "aucon"}


def test_a_missing_image_has_no_scores_and_the_unmoved_source_keeps_its_own():
    found = score(None)
    assert found.sample.generated == Scores()
    assert found.sample.unmoved == score(grey(GENERATED)).sample.unmoved
    assert found.sample.faces == Faces(generated=False, driving=True, source=True)
    assert not found.sample.has_image
    assert found.sample.following is None
    assert found.features is None


def test_an_image_without_a_face_keeps_its_pixel_scores():
    sample = score(grey(0)).sample
    measured = {name for name, value in sample.generated._asdict().items() if value is not None}
    assert measured == {"l1", "ssim", "psnr"}
    assert sample.faces == Faces(generated=False, driving=True, source=True)
    assert sample.following is None


def test_the_record_names_its_frames_and_the_features_are_generated_driving_source():
    found = score(grey(GENERATED))
    assert found.sample.key == "key"
    assert found.sample.source == FrameName("ann", "ann", 3)
    assert found.sample.driving == FrameName("bob", "bob", 7)
    assert found.sample.rest == FrameName("bob", "bob", 5)
    assert found.features.tolist() == [[7], [2], [1]]


def test_inside_the_regions_generated_and_source_are_scored_against_the_driving_frame():
    top = torch.zeros(1, 1, SIDE, SIDE)
    top[..., :9, :] = 1
    half = grey(GENERATED)
    half[9:] = 0  # wrong everywhere else, which the regions do not see; the Laplacian sees one row further
    found = score(half, head=top, mouth=top).sample
    assert (found.shown.head, found.shown.mouth) == (True, True)
    assert found.generated.head_l1 == pytest.approx(0.4)
    assert found.generated.head_psnr == pytest.approx(10 * math.log10(1 / 0.4**2), abs=1e-4)
    assert found.generated.mouth_l1 == found.generated.mouth_colour == pytest.approx(0.4)
    assert found.unmoved.head_l1 == found.unmoved.mouth_l1 == pytest.approx(0.2)


def test_a_pair_without_a_region_is_not_measured_there_and_says_so():
    found = score(grey(GENERATED)).sample
    assert (found.shown.head, found.shown.mouth) == (False, False)
    assert found.generated.head_l1 is found.generated.detail is found.generated.mouth_l1 is None


def test_the_same_pixels_have_the_same_key_whatever_their_names():
    other = score(grey(GENERATED), pair=ReenactmentPair("x", frame("source/0", 0), frame("driving/0", 0))).sample
    assert other.images == score(grey(GENERATED)).sample.images == pair_key(IMAGES)
    assert pair_key(IMAGES) != pair_key(PairImages(IMAGES.driving, IMAGES.source))
