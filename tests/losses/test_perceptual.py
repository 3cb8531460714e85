"""L_P: Eq. 11."""

import pytest
import torch

from dagan.losses.perceptual import PerceptualLoss, random_square
from dagan.nn.blocks import ReleasedDown
from parts import tiny_perceptual, tiny_vgg


def test_equal_images_have_no_loss_and_worse_ones_have_more() -> None:
    perceptual, image, noise = tiny_perceptual(), torch.rand(2, 3, 32, 32), torch.randn(2, 3, 32, 32)
    losses = [perceptual(image + amount * noise, image).item() for amount in (0, 0.01, 0.1)]
    assert losses[0] == 0 < losses[1] < losses[2]


def test_it_is_the_sum_over_scales_and_layers_of_the_mean_difference() -> None:
    vgg = tiny_vgg()
    perceptual = PerceptualLoss(vgg, scales=(1.0, 0.5, 0.25))
    generated, driving = torch.rand(2, 2, 3, 32, 32)
    expected = 0.0
    for fake, real in zip(perceptual.pyramid(generated), perceptual.pyramid(driving), strict=True):
        for ours, theirs in zip(vgg(fake), vgg(real), strict=True):
            expected += (ours - theirs).abs().sum().item() / ours.numel()
    assert perceptual(generated, driving).item() == pytest.approx(expected, rel=1e-4)
    by_level = [[value.item() for value in level] for level in perceptual.distances(generated, driving)]
    assert [len(level) for level in by_level] == [5, 5, 5]
    assert sum(map(sum, by_level)) == pytest.approx(expected, rel=1e-4)


def test_the_gradient_reaches_every_pixel_of_the_generated_image_and_nothing_else() -> None:
    perceptual = tiny_perceptual()
    generated, driving = torch.rand(1, 3, 32, 32, requires_grad=True), torch.rand(1, 3, 32, 32, requires_grad=True)
    perceptual(generated, driving).backward()
    assert generated.grad is not None
    assert generated.grad.abs().sum(1).min() > 0
    assert driving.grad is None
    assert all(parameter.grad is None for parameter in perceptual.parameters())


def test_a_step_against_the_gradient_lowers_the_loss() -> None:
    perceptual, driving = tiny_perceptual(), torch.rand(1, 3, 32, 32)
    generated = torch.rand(1, 3, 32, 32, requires_grad=True)
    loss = perceptual(generated, driving)
    (gradient,) = torch.autograd.grad(loss, generated)
    assert perceptual(generated - 0.1 * gradient / gradient.abs().max(), driving) < loss


def test_levels_larger_than_the_square_are_compared_on_one_random_square_of_both_images() -> None:
    perceptual = PerceptualLoss(tiny_vgg(), scales=(1.0, 0.5), max_side=16)
    seen: list[torch.Tensor] = []
    perceptual.vgg.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    image = torch.rand(1, 3, 32, 32)
    assert perceptual(image.clone(), image) == 0  # another square in the other image would differ
    assert [tuple(crop.shape[2:]) for crop in seen] == [(16, 16)] * 4


def test_random_squares_lie_inside_and_reach_every_border() -> None:
    corners = {(rows.start, columns.start) for rows, columns in (random_square(6, 7, 4) for _ in range(2000))}
    assert corners == {(top, left) for top in range(3) for left in range(4)}
    assert random_square(6, 7, None) == random_square(6, 7, 6) == (slice(None), slice(None))


def test_the_released_pyramid_is_a_sibling() -> None:
    generated, driving, vgg = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32), tiny_vgg()
    ours, released = PerceptualLoss(vgg, (0.5,)), PerceptualLoss(vgg, (0.5,), down=ReleasedDown)
    assert ours(generated, driving) != released(generated, driving)
    assert released(driving, driving) == 0
