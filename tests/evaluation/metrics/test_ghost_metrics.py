"""A ball for a head, moved by a known motion, over a known background."""

import numpy as np
import pytest
import torch

from dagan.evaluation.metrics.ghosts import Left, eaten, left_behind, rigid_motion, uncovered
from dagan.evaluation.regions import CHIN, FOREHEAD

SIDE, CENTRE, RADIUS = 128, np.array([64.0, 50.0, 0.0]), 30.0


def ball(shift=(0.0, 0.0)):
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    inside = np.hypot(columns - CENTRE[0] - shift[0], rows - CENTRE[1] - shift[1]) < RADIUS
    return torch.from_numpy(inside).float()[None, None]


def mesh(shift=(0.0, 0.0), yaw=0.0):
    """Points on the ball's front, turned about its centre."""
    numbers = np.random.default_rng(0)
    x, y = numbers.uniform(-0.6, 0.6, (2, 478))
    points = np.stack([x, y, -np.sqrt(1 - x * x - y * y)], 1)
    points[[234, 454]] = (-1, 0, 0), (1, 0, 0)
    points[CHIN], points[FOREHEAD] = (0, 1, 0), (0, -1, 0)
    cos, sin = np.cos(yaw), np.sin(yaw)
    turned = points @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]).T
    return turned * RADIUS + CENTRE + (*shift, 0)


def test_a_rigid_motion_is_found_again():
    found = rigid_motion(mesh(), 1.2 * mesh((3, -2), 0.4))
    assert found.scale == pytest.approx(1.2)
    assert 1.2 * mesh((3, -2), 0.4) == pytest.approx(found.scale * mesh() @ found.rotation.T + found.shift)


def test_a_head_that_moved_sideways_uncovers_its_other_side():
    region = uncovered(ball(), mesh(), mesh((20, 0)))
    assert region[0, 0, 50, 36:50].min() == 1  # the left rim was at 34, is at 54; the margin is 3
    assert region[0, 0, 50, 51:].max() == 0
    assert (region > ball()).sum() == 0


def test_a_head_that_only_turns_uncovers_nothing():
    """Its face's landmarks move by a third of the radius, its outline not at all."""
    moved = np.abs(mesh(yaw=0.35) - mesh())[:, 0].max()
    assert moved > RADIUS / 4
    assert uncovered(ball(), mesh(), mesh(yaw=0.35)).sum() < 0.02 * ball().sum()


def test_below_the_new_chin_nothing_counts_since_it_may_be_neck():
    region = uncovered(ball(), mesh(), mesh((0, -20)))
    chin = 80 - 20
    assert (ball() * (1 - ball((0, -20))))[0, 0, chin:].sum() > 100  # the head left it
    assert region[0, 0, chin:].sum() == 0


def pictures():
    background = torch.full((1, 3, SIDE, SIDE), 0.2)
    return background, background * (1 - ball()) + 0.9 * ball(), background * (1 - ball((20, 0))) + 0.9 * ball((20, 0))


def test_a_clean_picture_leaves_nothing_the_unmoved_source_all_and_a_halo_its_share():
    background, source, clean = pictures()
    region = uncovered(ball(), mesh(), mesh((20, 0)))
    halo = clean + 0.25 * (source - background) * (1 - ball((20, 0)))
    shares = [left_behind(picture, source, background, region).share for picture in (clean, source, halo)]
    assert shares == pytest.approx([0, 1, 0.25], abs=1e-5)
    assert Left().share is None
    assert Left(1, 2) + Left(3, 4) == Left(4, 6)


def test_a_fill_of_another_texture_is_no_ghost():
    """A plate cannot know the background: what it paints differs, but not towards the head."""
    background, source, clean = pictures()
    region = uncovered(ball(), mesh(), mesh((20, 0)))
    noise = 0.2 * (torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) - 0.5)
    assert left_behind(clean + noise, source, background, region).share == pytest.approx(0, abs=0.02)


def test_a_bald_spot_is_eaten():
    background, source, _ = pictures()
    bald = source.clone()
    bald[..., :30, :] = background[..., :30, :]
    share = float(ball()[..., :30, :].sum() / ball().sum())
    assert eaten(bald, source, ball()) == pytest.approx(0.7 * share, rel=1e-4)
    assert eaten(source, source, ball()) == 0
