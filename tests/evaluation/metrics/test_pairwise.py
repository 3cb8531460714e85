"""Each metric of one pair against values computed by hand."""

import math

import numpy as np
import pytest
import torch

from dagan.evaluation.metrics.pairwise import (
    MAX_PSNR,
    aed,
    akd,
    aucon,
    csim,
    head_pose_error,
    l1,
    landmark_distance,
    psnr,
)


def test_l1_of_equal_images_is_zero():
    image = torch.rand(2, 3, 8, 8)
    assert l1(image, image).tolist() == [0, 0]


def test_l1_measures_each_pair_of_a_batch_by_itself():
    driving = torch.zeros(2, 3, 4, 6)
    generated = driving.clone()
    generated[0, 1] = 0.6  # one of three channels
    generated[1, :, :2] = 0.5  # half of the rows
    assert l1(generated, driving).tolist() == pytest.approx([0.2, 0.25])


def test_l1_ignores_the_sign_of_a_difference():
    a, b = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    assert torch.equal(l1(a, b), l1(b, a))


def test_psnr_of_a_uniform_error_has_its_textbook_value():
    driving = torch.full((2, 3, 8, 8), 0.5)
    generated = driving + torch.tensor([0.1, 0.01]).view(2, 1, 1, 1)
    assert psnr(generated, driving).tolist() == pytest.approx([20, 40], abs=1e-3)


def test_psnr_of_one_wrong_pixel_value_has_its_textbook_value():
    driving = torch.zeros(1, 3, 8, 8)
    generated = driving.clone()
    generated[0, 0, 0, 0] = 1
    assert psnr(generated, driving).item() == pytest.approx(10 * math.log10(3 * 8 * 8), abs=1e-4)


def test_psnr_of_equal_images_is_the_largest_value_and_not_infinity():
    image = torch.rand(1, 3, 8, 8)
    assert psnr(image, image).item() == pytest.approx(MAX_PSNR)


def test_landmark_distance_is_the_mean_of_euclidean_distances():
    driving = np.zeros((2, 2), np.float32)
    generated = np.array([[3, 4], [0, -1]], np.float32)  # 5 and 1 away
    assert landmark_distance(generated, driving) == pytest.approx(3)


def test_landmark_distance_ignores_depth():
    driving = np.random.rand(478, 3).astype(np.float32)
    generated = driving + np.array([0, 0, 9], np.float32)
    assert landmark_distance(generated, driving) == 0


def test_landmark_distance_is_larger_than_akd_of_the_same_landmarks():
    driving, generated = np.random.rand(2, 68, 2)
    assert landmark_distance(generated, driving) > np.abs(generated - driving).mean()


def test_akd_averages_coordinates_not_distances():
    driving = np.zeros((2, 2))
    generated = np.array([[3.0, -4.0], [0.0, 0.0]])
    assert akd(generated, driving) == pytest.approx((3 + 4 + 0 + 0) / 4)
    assert landmark_distance(generated, driving) == pytest.approx(5 / 2)


def test_akd_is_in_pixels_of_256_whatever_the_size():
    generated, driving = np.full((5, 2), 6.0), np.full((5, 2), 4.0)
    assert akd(generated, driving, side=128) == pytest.approx(4)


def test_akd_ignores_depth():
    assert akd(np.array([[1.0, 2.0, 50.0]]), np.array([[1.0, 2.0, -50.0]])) == 0


def at(degrees: float) -> np.ndarray:
    return np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))])


@pytest.mark.parametrize(("degrees", "distance", "cosine"), [(0, 0, 1), (60, 1, 0.5), (90, 2, 0), (180, 4, -1)])
def test_aed_and_csim_of_unit_vectors_at_a_known_angle(degrees, distance, cosine):
    assert aed(at(degrees), at(0)) == pytest.approx(distance)
    assert csim(at(degrees), at(0)) == pytest.approx(cosine)


def test_aed_takes_no_root():
    assert aed(np.array([0.6, 0.8]), np.array([1.0, 0.0])) == pytest.approx(0.4**2 + 0.8**2)


def test_csim_does_not_depend_on_length():
    assert csim(3 * at(20), 0.1 * at(50)) == pytest.approx(math.cos(math.radians(30)))


def test_equal_poses_have_no_error():
    assert head_pose_error((10.0, -5.0, 3.0), (10.0, -5.0, 3.0)) == 0


def test_head_pose_error_is_the_root_of_the_mean_square_of_three_angles():
    assert head_pose_error((1.0, 2.0, 3.0), (0.0, 0.0, 1.0)) == pytest.approx(math.sqrt((1 + 4 + 4) / 3))


def test_angles_are_compared_the_short_way_round():
    assert head_pose_error((0.0, 0.0, 179.0), (0.0, 0.0, -179.0)) == pytest.approx(2 / math.sqrt(3))


def test_a_missing_angle_is_an_error():
    with pytest.raises(ValueError, match="argument 2"):
        head_pose_error((1.0, 2.0), (1.0, 2.0, 3.0))


THRESHOLDS = np.array([0.5, 0.5, 0.1, 0.1])


def test_aucon_counts_units_present_in_both_or_in_neither():
    generated, driving = np.array([0.9, 0.4, 0.2, 0.0]), np.array([0.6, 0.6, 0.05, 0.09])
    assert aucon(generated, driving, THRESHOLDS) == pytest.approx(2 / 4)  # first and last agree


def test_aucon_ignores_strength_beyond_the_threshold():
    assert aucon(np.array([0.51, 0, 0, 0]), np.array([1.0, 0, 0, 0]), THRESHOLDS) == 1


def test_aucon_has_a_threshold_for_every_unit():
    assert aucon(np.full(4, 0.3), np.zeros(4), THRESHOLDS) == pytest.approx(0.5)
