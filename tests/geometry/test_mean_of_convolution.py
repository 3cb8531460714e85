"""Means of a convolution's maps under heatmaps, without the maps."""

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange

from dagan.geometry.keypoints import mean_of_convolution, mean_under_heatmap


@pytest.mark.parametrize(("side", "padding"), [(1, 0), (3, 1), (3, 0), (7, 3), (7, 0)])
def test_it_is_the_mean_of_the_maps_and_so_are_its_gradients(side: int, padding: int) -> None:
    features = torch.randn(2, 5, 12, 10, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3 * 4, 5, side, side, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(3 * 4, dtype=torch.float64, requires_grad=True)
    height, width = 12 + 2 * padding - side + 1, 10 + 2 * padding - side + 1
    logits = torch.randn(2, 3, height * width, dtype=torch.float64, requires_grad=True)
    heatmap = logits.softmax(-1).unflatten(-1, (height, width))
    maps = rearrange(F.conv2d(features, weight, bias, padding=padding), "b (k d) h w -> b k d h w", d=4)
    wanted, got = mean_under_heatmap(maps, heatmap), mean_of_convolution(features, weight, bias, heatmap)
    assert torch.allclose(got, wanted, atol=1e-12)
    direction, inputs = torch.randn_like(wanted), [features, weight, bias, logits]
    for ours, theirs in zip(
        torch.autograd.grad(got, inputs, direction, retain_graph=True),
        torch.autograd.grad(wanted, inputs, direction),
        strict=True,
    ):
        assert torch.allclose(ours, theirs, atol=1e-12)


def test_in_bfloat16_it_is_about_as_near_to_the_exact_mean_as_the_maps_are() -> None:
    features, weight = torch.relu(torch.randn(2, 16, 32, 32)), 0.1 * torch.randn(20, 16, 3, 3)
    heatmap = (3 * torch.randn(2, 5, 32 * 32)).softmax(-1).unflatten(-1, (32, 32))
    half, bias = features.bfloat16(), torch.zeros(20)

    def mean(dtype: torch.dtype) -> torch.Tensor:
        maps = F.conv2d(features.to(dtype), weight.to(dtype), padding=1)
        return mean_under_heatmap(rearrange(maps, "b (k d) h w -> b k d h w", d=4).double(), heatmap.double())

    exact = mean(torch.float64)
    plain, ours = mean(torch.bfloat16), mean_of_convolution(half, weight, bias, heatmap)
    assert (ours - exact).std() < 2 * (plain - exact).std()
