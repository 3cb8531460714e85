"""Metrics inside a region, against values made by hand."""

import numpy as np
import pytest
import torch

from dagan.evaluation.metrics.regional import (
    colour_difference,
    detail_correlation,
    detail_ratio,
    laplacian,
    region_l1,
    region_mean,
    region_psnr,
)


def pictures(count=2, side=24, seed=0):
    return torch.rand(count, 1, 3, side, side, generator=torch.Generator().manual_seed(seed))


def left_half(side=24):
    region = torch.zeros(1, 1, side, side)
    region[..., : side // 2] = 1
    return region


def test_only_the_region_counts():
    a, b = pictures()
    spoilt = a.clone()
    spoilt[..., 12:] = 0
    for metric in (region_l1, region_psnr, colour_difference):
        assert metric(spoilt, b, left_half()) == pytest.approx(metric(a, b, left_half()))
    assert region_l1(a, b, left_half()).item() == pytest.approx((a - b)[..., :12].abs().mean().item())
    assert region_psnr(a, a, left_half()) == 100
    weights = torch.tensor([0.25, 0.75])[None, None, None]
    assert region_mean(torch.tensor([4.0, 8.0])[None, None, None], weights) == 7


def test_colour_is_the_difference_of_means():
    a = pictures(1)[0]
    shuffled = a[..., torch.randperm(24), :]
    assert colour_difference(a, shuffled, torch.ones(1, 1, 24, 24)).item() == pytest.approx(0, abs=1e-6)
    assert colour_difference(a, a + torch.tensor([0.3, 0.0, 0.0])[:, None, None], left_half()).item() == pytest.approx(
        0.1
    )


def test_the_laplacian_is_the_neighbours_mean_minus_the_pixel():
    image = pictures(1)[0]
    luma = (image[0] * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0).numpy()
    wide = np.pad(luma, 1, mode="edge")
    expected = (wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]) / 4 - luma
    assert laplacian(image)[0, 0].numpy() == pytest.approx(expected, abs=1e-6)


def test_neither_noise_nor_sharpening_passes_for_the_true_detail():
    true, noise = pictures()
    region = torch.ones(1, 1, 24, 24)
    flat = torch.full_like(true, 0.5)
    half = flat + (true - flat) / 2
    assert detail_ratio(half, true, region).item() == pytest.approx(0.5, abs=1e-4)
    assert detail_correlation(half, true, region).item() == pytest.approx(1, abs=1e-4)
    assert detail_ratio(noise, true, region).item() == pytest.approx(1, abs=0.1)
    assert abs(detail_correlation(noise, true, region).item()) < 0.1
    assert detail_correlation(flat, true, region).item() == 0
