"""Monkey-Net's own facts: covariances, the flow's correction, warped skips, its discriminator and its loss."""

from dataclasses import replace

import pytest
import torch

from dagan.geometry.grid import corner_grid
from dagan.models.families.monkeynet import (
    LEAST_SPREAD,
    LEVEL_WEIGHTS,
    GaussianKeypoints,
    adapted_covariance,
    clipped,
    heatmaps,
    level_distances,
    sum_of_levels,
)
from families import TINY, TINY_MONKEYNET_JUDGE


def spread(batch: int = 2, count: int = 4) -> torch.Tensor:
    root = torch.eye(2) * 0.3 + 0.1 * torch.randn(batch, count, 2, 2).clamp(-1, 1)
    return root @ root.mT


def test_a_narrow_covariance_is_widened_and_others_stay():
    wide, narrow = spread(), spread() * 1e-4
    torch.testing.assert_close(clipped(wide), wide)
    least = torch.linalg.svdvals(clipped(narrow))[..., -1]
    torch.testing.assert_close(least, torch.full_like(least, LEAST_SPREAD), rtol=1e-3, atol=0)


def test_a_covariance_of_nothing_is_finite_with_a_finite_gradient():
    nothing = torch.zeros(1, 1, 2, 2, requires_grad=True)
    clipped(nothing).sum().backward()
    assert nothing.grad.isfinite().all()


def test_a_heatmap_is_one_at_its_keypoint_and_falls_as_its_covariance_says():
    code = GaussianKeypoints(torch.zeros(1, 1, 2), torch.diag_embed(torch.tensor([[[0.25, 0.04]]])))
    drawn = heatmaps(code, (21, 21), corner_grid)[0, 0]
    assert drawn[10, 10] == 1
    torch.testing.assert_close(drawn[10, 15], torch.tensor(-0.5).exp())  # one deviation, 0.5, to the right
    torch.testing.assert_close(drawn[12, 10], torch.tensor(-0.5).exp())  # 0.2 down


def test_an_untrained_flow_is_nearly_the_identity_and_the_mask_the_backgrounds():
    model = TINY["monkeynet"].build().eval()
    with torch.inference_mode():
        rendering = model(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64))
    assert rendering.occlusion is None
    slots = rendering.mask.shape[1]
    expected = torch.tensor(2.0).exp() / (torch.tensor(2.0).exp() + slots - 1)
    torch.testing.assert_close(rendering.mask[:, 0], torch.full_like(rendering.mask[:, 0], expected.item()))


def test_adapted_covariances_follow_the_drivers_change():
    source, initial = (
        GaussianKeypoints(torch.zeros(1, 4, 2), spread(1)),
        GaussianKeypoints(torch.zeros(1, 4, 2), spread(1)),
    )
    torch.testing.assert_close(adapted_covariance(source, initial, initial), source.covariance, rtol=1e-3, atol=1e-5)
    doubled = initial._replace(covariance=2 * initial.covariance)
    model = replace(TINY["monkeynet"], adapts_covariance=True).build()
    moved = model.mover(source, initial)(doubled)
    torch.testing.assert_close(moved.covariance, 2 * source.covariance, rtol=1e-3, atol=1e-5)


def test_scale_is_adapted_by_the_hulls():
    model = TINY["monkeynet"].build()
    square = torch.tensor([[[-1.0, -1], [1, -1], [1, 1], [-1, 1]]])
    source, initial = (GaussianKeypoints(square * size, spread(1)) for size in (0.2, 0.4))
    moved = model.mover(source, initial, adapt_scale=True)(initial._replace(position=initial.position + 0.1))
    torch.testing.assert_close(moved.position, source.position + 0.05)


def test_the_reconstruction_weighs_each_level_and_teaches_keypoints():
    judge = TINY_MONKEYNET_JUDGE.build()
    code = GaussianKeypoints(torch.rand(1, 4, 2, requires_grad=True), spread(1))
    real, fake = (judge(torch.rand(1, 3, 64, 64), code) for _ in range(2))
    distances = level_distances(real, fake)
    assert len(distances) == 3
    assert distances[0] == pytest.approx((real.features[0] - fake.features[0]).abs().mean().item())
    total = 10 * distances[0] + 10 * distances[1] + 1 * distances[2]
    torch.testing.assert_close(sum_of_levels(distances), total)
    assert LEVEL_WEIGHTS == (10, 10, 10, 10, 1)
    assert level_distances(real, real)[1] == 0
    total.backward()
    assert code.position.grad.abs().sum() > 0
