"""Measures of depth against truth: made-up surfaces whose scores are known."""

import numpy as np
import pytest

from dagan.evaluation.metrics.depth import (
    median_scaled,
    normal_error,
    ordinal_accuracy,
    rank_correlation,
    rotation_angle,
    score_depth,
)

SIZE = 32
INTRINSICS = np.array([[64.0, 0, 16], [0, 64.0, 16], [0, 0, 1]])


def ball() -> tuple[np.ndarray, np.ndarray]:
    y, x = (np.mgrid[0:SIZE, 0:SIZE] + 0.5) / SIZE * 2 - 1
    inside = x**2 + y**2 < 0.6
    return 1 - 0.1 * np.sqrt(np.clip(0.7 - x**2 - y**2, 0, None)), inside


def test_the_truth_at_any_scale_is_perfect() -> None:
    depth, head = ball()
    scores = score_depth(3.7 * depth, depth, head, INTRINSICS)
    assert scores.abs_rel == pytest.approx(0, abs=1e-9)
    assert scores.si_rmse == pytest.approx(0, abs=1e-9)
    assert scores.within_125 == scores.ordinal == 1
    assert scores.rank == pytest.approx(1)
    assert scores.normal_degrees == pytest.approx(0, abs=1e-3)


def test_inside_out_is_ordered_wrong_everywhere() -> None:
    depth, head = ball()
    scores = score_depth(2 - depth, depth, head, INTRINSICS)
    assert scores.ordinal == 0
    assert scores.rank == pytest.approx(-1)


def test_a_flat_map_guesses_order_and_has_no_rank() -> None:
    depth, head = ball()
    scores = score_depth(np.ones_like(depth), depth, head, INTRINSICS)
    assert scores.ordinal == 0.5
    assert scores.rank == 0
    assert scores.normal_degrees > 5


def test_a_relief_twice_as_deep_keeps_its_order_but_not_its_depth() -> None:
    depth, head = ball()
    scores = score_depth(1 + 2 * (depth - 1), depth, head, INTRINSICS)
    assert scores.ordinal == 1
    assert scores.abs_rel > 0.005
    assert scores.normal_degrees > 2


def test_what_lies_off_the_head_does_not_matter() -> None:
    depth, head = ball()
    other = np.where(head, depth, 9.0)
    assert score_depth(other, depth, head, INTRINSICS)._replace(normal_degrees=0) == score_depth(
        depth, depth, head, INTRINSICS
    )._replace(normal_degrees=0)


def test_rank_correlation_is_spearmans_also_with_ties() -> None:
    first, second = np.array([1.0, 2, 2, 5, 9]), np.array([2.0, 1, 4, 4, 8])
    ranks = np.array([1, 2.5, 2.5, 4, 5]), np.array([2, 1, 3.5, 3.5, 5])
    assert rank_correlation(first, second) == pytest.approx(np.corrcoef(*ranks)[0, 1])


def test_ordinal_accuracy_asks_only_about_pairs_that_are_apart() -> None:
    numbers = np.random.default_rng(1)
    true = np.linspace(1, 2, 500)
    assert ordinal_accuracy(true + numbers.normal(0, 0.01, 500), true) > 0.99


def test_median_scaling_takes_the_head_alone() -> None:
    depth, head = ball()
    scaled = median_scaled(np.where(head, 5 * depth, 100.0), depth, head)
    assert np.median(scaled[head]) == pytest.approx(np.median(depth[head]))


def test_normals_of_planes_differ_by_the_angle_between_the_planes() -> None:
    _y, x = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    rays_x = (x - 16) / 64

    def plane(degrees: float) -> np.ndarray:
        return 1 / (1 - np.tan(np.radians(degrees)) * rays_x)

    everywhere = np.ones((SIZE, SIZE), bool)
    assert normal_error(plane(20), plane(0), everywhere, INTRINSICS) == pytest.approx(20, abs=0.05)


def test_rotation_angle_is_that_between_two_turns() -> None:
    def turn(degrees: float) -> np.ndarray:
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])

    assert rotation_angle(turn(10), turn(-5)) == pytest.approx(15)
    assert rotation_angle(np.eye(3), np.eye(3)) == 0
