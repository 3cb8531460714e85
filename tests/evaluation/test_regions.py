"""Where the regional metrics look, on meshes and mattes made by hand."""

import numpy as np
import pytest
import torch

from dagan.evaluation.regions import CHIN, FOREHEAD, INNER_LIPS, MOUTH_CORNERS, head_region, lips_apart, mouth_region

SIDE = 128


def mesh(gap=0.0, chin=(64, 100), forehead=(64, 30)):
    """A face whose mouth is 40 pixels wide, its inner lips `gap` pixels apart."""
    points = np.full((478, 3), 64.0)
    points[CHIN, :2], points[FOREHEAD, :2] = chin, forehead
    points[MOUTH_CORNERS[0], :2], points[MOUTH_CORNERS[1], :2] = (44, 80), (84, 80)
    half = len(INNER_LIPS) // 2
    for place, index in enumerate(INNER_LIPS):
        upper = place <= half
        x = 44 + 40 * (place / half if upper else (len(INNER_LIPS) - place) / half)
        edge = place in (0, half)
        points[index, :2] = x, 80 + (0 if edge else (-gap / 2 if upper else gap / 2))
    return points


def test_the_head_is_the_matte_above_the_chin():
    matte = torch.zeros(1, 1, SIDE, SIDE)
    matte[..., 20:, 30:98] = 1
    region = head_region(matte, mesh())
    assert region[0, 0, 20:99, 30:98].min() == 1
    assert region[0, 0, 101:].max() == region[0, 0, :20].max() == 0


def test_the_chin_line_lies_across_a_leaning_face():
    region = head_region(torch.ones(1, 1, SIDE, SIDE), mesh(chin=(100, 64), forehead=(30, 64)))
    assert region[0, 0, :, :99].min() == 1
    assert region[0, 0, :, 102:].max() == 0


def test_an_empty_matte_is_no_head():
    assert head_region(torch.zeros(1, 1, SIDE, SIDE), mesh()) is None


def test_the_mouth_is_inside_the_drivers_lips_if_the_source_has_them_shut():
    region = mouth_region(mesh(0.5), mesh(16), SIDE, SIDE)
    assert region[0, 0, 78:82, 55:73].min() == 1
    assert region[0, 0, :71].max() == region[0, 0, 89:].max() == 0
    assert lips_apart(mesh(16)) == pytest.approx(16 / 40)


@pytest.mark.parametrize(("source", "driving"), [(16, 16), (0.5, 2), (0.5, 0.5)])
def test_a_mouth_that_the_photo_shows_or_that_stays_shut_is_not_measured(source, driving):
    assert mouth_region(mesh(source), mesh(driving), SIDE, SIDE) is None
