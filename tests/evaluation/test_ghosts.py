"""Ghosts of a system that never moves the photo, seen by an observer that says it did."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
from known_quality import UNMOVED, KnownQuality

from dagan.errors import UserError
from dagan.evaluation.ghosts import GhostSelection, evaluate_ghosts, sheet, to_json, to_markdown
from dagan.evaluation.regions import CHIN, FOREHEAD
from dagan.observers import FaceObservation, HeadPose, ObserverVersion

SIDE = 128


@dataclass(frozen=True)
class Resting(KnownQuality):
    """Gives the photo back."""

    def rest_frame(self, pair, source):
        return 0


class Mover:
    """Says that a face is in the middle of every picture, and in every later look 25 pixels further right."""

    version = ObserverVersion("mover", "none", "00" * 32)

    def __init__(self):
        self.num_looks = 0

    def observe(self, image):
        numbers = np.random.default_rng(0)
        x, y = numbers.uniform(-0.6, 0.6, (2, 478))
        points = np.stack([x, y, -np.sqrt(1 - x * x - y * y)], 1) * 30 + (64, 60, 0)
        points[CHIN], points[FOREHEAD] = (64, 95, 0), (64, 25, 0)
        moved = points + np.array([25 if self.num_looks else 0, 0, 0])  # the first look is at the head itself
        self.num_looks += 1
        return FaceObservation(moved.astype(np.float32), HeadPose(0, 0, 0), np.zeros(52))


@pytest.fixture(scope="module")
def report(clips):
    shown = []
    selection = GhostSelection(str(clips), num_heads=1, size=SIDE)
    found = evaluate_ghosts(selection, Resting(UNMOVED), Mover(), show=shown.append)
    return found, shown


def test_the_unmoved_photo_is_all_left_behind_and_nothing_of_it_is_eaten(report):
    (head,) = report[0].heads
    assert head.left_behind == pytest.approx(1)
    assert head.eaten == 0
    assert head.num_pictures == 8  # there is one other person to drive
    assert "over a drawn room" in head.head


def test_a_head_is_composed_over_a_background_that_is_known(report):
    """The picture differs from the frame of the clip where there is nobody, and the region is of the head."""
    (shown,) = report[1]
    assert shown.region.sum() > 100
    assert shown.region[0, 0, 95:].sum() == 0
    assert np.array_equal(shown.source, shown.picture)


def test_the_report_and_its_sheet_say_what_was_measured(report):
    found, shown = report
    assert "left where the head's moved outline is no longer: 1.000 (1 heads" in to_markdown(found)
    assert json.loads(to_json(found))["summary"]["left_behind"] == pytest.approx(1)
    assert sheet(shown).width == 3 * 160 + 2 * 3


def test_images_that_are_there_already_cannot_be_driven(clips):
    with pytest.raises(UserError, match="needs a model"):
        evaluate_ghosts(GhostSelection(str(clips)), KnownQuality(UNMOVED), Mover())
