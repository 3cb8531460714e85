"""Blocks of Fig. 11, and anti-aliased resizing in the one pixel convention."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import references
from dagan.geometry.grid import coordinate_grid
from dagan.nn.blocks import AntiAliasDown, DownBlock, FixedSize, ResBlock, ResizeTo, SameBlock, ScaleBy, UpBlock

SHRINKS = [ScaleBy(factor=0.5), ScaleBy(factor=0.25), ScaleBy(factor=0.125), ScaleBy(factor=1 / 3), FixedSize(side=24)]


def blob(x: float, y: float, side: int = 96) -> Tensor:
    """A bright spot at (x, y), well inside of the image."""
    grid = coordinate_grid(side, side, torch.zeros(()))
    return torch.exp(-0.5 * (grid - torch.tensor([x, y])).square().sum(-1) / 0.01)[None, None]


def centre_of_mass(image: Tensor) -> Tensor:
    weights = image[0, 0] / image.sum()
    return (weights[..., None] * coordinate_grid(*weights.shape, image)).sum((0, 1))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("size", [(8, 8), (7, 12)])
def test_blocks_make_the_sizes_that_they_promise(batch: int, size: tuple[int, int]) -> None:
    x = torch.rand(batch, 3, *size)
    height, width = size
    assert SameBlock(3, 5)(x).shape == (batch, 5, height, width)
    assert SameBlock(3, 5, kernel=7)(x).shape == (batch, 5, height, width)
    assert DownBlock(3, 5)(x).shape == (batch, 5, -(-height // 2), width // 2)
    assert UpBlock(3, 5)(x).shape == (batch, 5, 2 * height, 2 * width)
    assert ResBlock(3)(x).shape == x.shape


def test_a_residual_block_whose_branch_is_zero_is_the_identity_and_keeps_its_input() -> None:
    block, x = ResBlock(4), torch.randn(2, 4, 6, 6)
    nn.init.zeros_(block.conv2.weight)
    assert block.conv2.bias is not None
    nn.init.zeros_(block.conv2.bias)
    before = x.clone()
    assert torch.equal(block(x), x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("block", [SameBlock(3, 3), DownBlock(3, 3), UpBlock(3, 3), ResBlock(3)], ids=type)
def test_gradients_reach_every_parameter_of_a_block(block: nn.Module) -> None:
    block(torch.rand(2, 3, 8, 8)).square().sum().backward()
    block(torch.rand(2, 3, 8, 8)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in block.parameters())


@pytest.mark.parametrize("resize", SHRINKS, ids=str)
def test_a_constant_image_stays_constant(resize: ScaleBy | FixedSize) -> None:
    small = resize.build()(torch.full((1, 3, 96, 96), 0.7))
    assert torch.allclose(small, torch.full_like(small, 0.7), atol=1e-6)


@pytest.mark.parametrize("resize", SHRINKS, ids=str)
@pytest.mark.parametrize("position", [(0.0, 0.0), (0.31, -0.12), (-0.4, 0.27)])
def test_a_blob_keeps_its_place_in_image_coordinates(
    resize: ScaleBy | FixedSize, position: tuple[float, float]
) -> None:
    small = resize.build()(blob(*position))
    assert torch.allclose(centre_of_mass(small), torch.tensor(position), atol=1e-3)


@pytest.mark.parametrize("resize", SHRINKS, ids=str)
def test_mirroring_before_or_after_is_the_same(resize: ScaleBy | FixedSize) -> None:
    module, image = resize.build(), torch.rand(1, 3, 96, 96)
    assert torch.allclose(module(image.flip(-1)), module(image).flip(-1), atol=1e-5)


@pytest.mark.parametrize("resize", SHRINKS, ids=str)
def test_a_checkerboard_becomes_grey(resize: ScaleBy | FixedSize) -> None:
    board = (torch.arange(96)[:, None] + torch.arange(96)) % 2
    small = resize.build()(board[None, None].float())
    assert (small - 0.5)[..., 2:-2, 2:-2].abs().max() < 0.03


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_shrinking_equals_an_endless_gaussian_written_as_loops(factor: int) -> None:
    image = torch.rand(2, 1, 4 * factor, 3 * factor)
    expected = np.stack([references.shrink(channel, factor) for channel in image[:, 0].double().numpy()])
    assert np.allclose(AntiAliasDown(1 / factor)(image)[:, 0].numpy(), expected, atol=1e-3)


def test_scale_one_is_the_identity() -> None:
    image = torch.rand(1, 3, 5, 7)
    assert AntiAliasDown(1.0)(image) is image


def test_a_fixed_size_is_that_size_whatever_comes_in() -> None:
    resize = FixedSize(side=32).build()
    assert {tuple(resize(torch.rand(1, 3, *size)).shape) for size in ((32, 32), (96, 64), (16, 16))} == {(1, 3, 32, 32)}


def test_an_image_of_the_fixed_size_is_not_touched() -> None:
    image = torch.rand(1, 3, 32, 32)
    assert ResizeTo(32)(image) is image


def test_resizing_adds_nothing_to_the_weights_of_a_model() -> None:
    assert not ScaleBy(factor=0.25).build().state_dict()
    assert not FixedSize(side=8).build().state_dict()
