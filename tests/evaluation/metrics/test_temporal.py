"""Jitter and flicker of clips made by hand."""

import numpy as np
import pytest
import torch

from dagan.evaluation.metrics.temporal import Watched, jitter

SIDE = 64


def test_steady_motion_has_no_jitter_and_a_tremble_has_its_size():
    steady = [np.full((5, 3), 2.0 * t) for t in range(6)]
    assert jitter(steady, SIDE) == pytest.approx(0)
    trembling = [mesh + (t % 2) * np.array([1.0, 0, 0]) for t, mesh in enumerate(steady)]
    assert jitter(trembling, SIDE) == pytest.approx(2 * 256 / SIDE)  # 1 - 2 x 0 + 1 pixels, at 256


def test_frames_without_a_face_break_the_row():
    steady = [np.full((5, 3), float(t)) for t in range(5)]
    assert jitter([*steady, None, np.full((5, 3), 99.0)], SIDE) == pytest.approx(0)
    assert jitter([steady[0], None, steady[2]], SIDE) is None


def watched(flickering):
    """Eight frames: the head's left half is noise, the background alternates between 0.5 +- 0.1 if it flickers."""
    person = torch.zeros(1, 1, SIDE, SIDE)
    person[..., :32] = 1
    found = Watched(torch.zeros(1, 1, SIDE, SIDE))
    for t in range(8):
        picture = torch.rand(1, 3, SIDE, SIDE)
        picture[..., 32:] = 0.5 + (0.1 if t % 2 else -0.1) * flickering
        still = torch.full((1, 3, SIDE, SIDE), 0.3)
        meshes = np.full((5, 3), t + 3.0 * (t % 2)), np.full((5, 3), float(t))
        found.add(picture, still, meshes, person)
    return found.result("clip")


def test_flicker_is_the_backgrounds_alone_and_stands_beside_the_drivers():
    found = watched(True)
    assert found.flicker == pytest.approx(0.1 * 255, rel=1e-5)
    assert found.driver_flicker == pytest.approx(0, abs=1e-3)
    assert watched(False).flicker == pytest.approx(0, abs=1e-3)
    assert found.jitter > 5
    assert found.driver_jitter == pytest.approx(0)
    assert (found.clip, found.num_frames) == ("clip", 8)


def test_a_clip_that_is_all_person_has_no_flicker_to_measure():
    found = Watched(torch.ones(1, 1, SIDE, SIDE))
    for _ in range(4):
        found.add(
            torch.rand(1, 3, SIDE, SIDE), torch.rand(1, 3, SIDE, SIDE), (None, None), torch.ones(1, 1, SIDE, SIDE)
        )
    assert found.result("clip")[2:] == (None, None, None, None)
