"""W_p and BI: backward warping."""

import numpy as np
import pytest
import torch

import references
from dagan.geometry.warp import warp
from parts import identity_flow


@pytest.mark.parametrize("size", [(8, 8), (32, 64), (256, 256)])
def test_identity_motion_returns_the_image_exactly(size: tuple[int, int]) -> None:
    image = torch.rand(2, 3, *size)
    assert torch.equal(warp(image, identity_flow(2, *size)), image)


@pytest.mark.parametrize("size", [(96, 96), (37, 53)])
def test_identity_motion_returns_images_of_odd_sizes_to_the_last_bits(size: tuple[int, int]) -> None:
    image = torch.rand(1, 3, *size)
    assert torch.allclose(warp(image, identity_flow(1, *size)), image, atol=1e-4)


def test_identity_motion_of_a_smaller_size_returns_the_image() -> None:
    image = torch.rand(1, 3, 64, 64)
    assert torch.allclose(warp(image, identity_flow(1, 16, 16)), image, atol=1e-5)


def test_random_motion_equals_the_definition_written_as_loops() -> None:
    image, flow = torch.rand(2, 3, 5, 7), torch.rand(2, 5, 7, 2) * 3 - 1.5  # also well outside
    expected = np.stack(
        [references.warp(*pair) for pair in zip(image.double().numpy(), flow.double().numpy(), strict=True)]
    )
    assert np.allclose(warp(image, flow).numpy(), expected, atol=1e-5)


def test_a_flow_to_the_right_brings_what_is_on_the_right() -> None:
    image = torch.rand(1, 1, 4, 8)
    moved = warp(image, identity_flow(1, 4, 8) + torch.tensor([2 / 8, 0.0]))
    assert torch.allclose(moved[..., :-1], image[..., 1:], atol=1e-6)
    assert torch.allclose(moved[..., -1], image[..., -1], atol=1e-6)  # the border repeats


def test_the_gradient_of_a_ramp_is_its_slope() -> None:
    flow = (identity_flow(1, 8, 8) + 0.03).requires_grad_()
    ramp = 5 * identity_flow(1, 8, 8)[..., 0][:, None]
    (slope,) = torch.autograd.grad(warp(ramp, flow).sum(), flow)
    assert torch.allclose(slope[:, :, :-1, 0], torch.tensor(5.0), atol=1e-4)
    assert slope[..., 1].abs().max() < 1e-4


def test_positions_keep_their_precision_where_features_have_little() -> None:
    features = torch.rand(1, 2, 256, 256).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        warped = warp(features, identity_flow(1, 256, 256))
    assert warped.dtype == torch.bfloat16
    assert torch.equal(warped, features)


def test_positions_that_are_not_numbers_give_gradients_that_are_not_and_do_not_crash() -> None:
    """PyTorch's backward pass of border sampling ends the process with a segmentation fault at NaN."""
    logits = torch.full((1, 8, 8, 2), float("nan"), requires_grad=True)
    features = torch.rand(1, 3, 8, 8, requires_grad=True)
    for _ in range(20):
        warp(features, logits.tanh()).sum().backward()
    assert logits.grad is not None
    assert logits.grad.isnan().all()
