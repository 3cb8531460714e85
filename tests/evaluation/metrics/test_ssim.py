import numpy as np
import pytest
import torch

from dagan.evaluation.metrics.ssim import ssim


def reference(x: np.ndarray, y: np.ndarray) -> float:
    """Wang et al. (2004) window by window, with explicit weighted moments."""
    place = np.arange(11) - 5
    weight = np.exp(-(place[:, None] ** 2 + place**2) / (2 * 1.5**2))
    weight /= weight.sum()
    values = []
    for channel in range(3):
        for top in range(x.shape[1] - 10):
            for left in range(x.shape[2] - 10):
                a, b = (image[channel, top : top + 11, left : left + 11] for image in (x, y))
                mean_a, mean_b = (weight * a).sum(), (weight * b).sum()
                covariance = (weight * (a - mean_a) * (b - mean_b)).sum()
                variances = (weight * (a - mean_a) ** 2).sum() + (weight * (b - mean_b) ** 2).sum()
                luminance = (2 * mean_a * mean_b + 1e-4) / (mean_a**2 + mean_b**2 + 1e-4)
                values.append(luminance * (2 * covariance + 9e-4) / (variances + 9e-4))
    return float(np.mean(values))


def test_it_equals_a_reference_written_window_by_window():
    x = torch.rand(2, 3, 16, 19)
    y = (0.7 * x + 0.3 * torch.rand(2, 3, 16, 19)).clamp(0, 1)
    expected = [reference(a, b) for a, b in zip(x.double().numpy(), y.double().numpy(), strict=True)]
    assert ssim(x, y).tolist() == pytest.approx(expected, abs=1e-6)


def test_equal_images_have_one_and_a_worse_copy_less():
    image = torch.rand(1, 3, 32, 32)
    little, much = (image + amount * torch.randn(1, 3, 32, 32) for amount in (0.05, 0.5))
    assert ssim(image, image).item() == pytest.approx(1, abs=1e-6)
    assert ssim(much, image) < ssim(little, image) < 1


def test_images_of_one_colour_are_compared_by_brightness_alone():
    dark, bright = torch.full((1, 3, 16, 16), 0.2), torch.full((1, 3, 16, 16), 0.6)
    assert ssim(dark, bright).item() == pytest.approx((2 * 0.12 + 1e-4) / (0.04 + 0.36 + 1e-4), abs=1e-6)
