"""D of Fig. 11h."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from dagan.models.discriminator import DiscriminatorConfig

TINY = DiscriminatorConfig(width=4, cap=8)


def test_the_papers_discriminator_ends_in_512_maps_of_26_by_26() -> None:
    with FakeTensorMode():  # shapes without the arithmetic
        prediction, features = DiscriminatorConfig().build()(torch.rand(1, 3, 256, 256))
    assert [feature.shape[1] for feature in features] == [64, 128, 256, 512]
    assert features[-1].shape == (1, 512, 26, 26)
    assert prediction.shape == (1, 1, 26, 26)


@pytest.mark.parametrize("size", [(64, 64), (96, 96), (64, 128)])
def test_judgements_have_one_map_and_four_features(size: tuple[int, int]) -> None:
    prediction, features = TINY.build()(torch.rand(3, 3, *size))
    assert prediction.shape[:2] == (3, 1)
    assert prediction.shape[2:] == features[-1].shape[2:]
    assert [feature.shape[1] for feature in features] == [4, 8, 8, 8]


def test_an_image_gets_the_same_judgement_alone_and_in_a_batch_also_in_training() -> None:
    discriminator, images = TINY.build(), torch.rand(3, 3, 64, 64)
    assert torch.allclose(discriminator(images).prediction[1:2], discriminator(images[1:2]).prediction, atol=1e-5)


def test_gradients_reach_every_parameter_and_the_image() -> None:
    discriminator, image = TINY.build(), torch.rand(2, 3, 96, 96, requires_grad=True)
    prediction, features = discriminator(image)
    (prediction.square().sum() + torch.stack([feature.square().sum() for feature in features]).sum()).backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in discriminator.parameters())


def test_the_first_block_is_not_normalised_so_brightness_is_judged() -> None:
    discriminator, image = TINY.build(), torch.rand(1, 3, 64, 64) * 0.5
    assert not torch.allclose(discriminator(image).features[0], discriminator(image + 0.3).features[0], atol=1e-3)


def test_every_other_block_is_normalised_so_the_size_of_its_weights_is_not_judged() -> None:
    discriminator, image = TINY.build(), torch.rand(1, 3, 96, 96)
    before = discriminator(image).features
    for block in discriminator.blocks[1:]:
        with torch.no_grad():
            block.conv.weight.mul_(3)
            block.conv.bias.add_(5)
    after = discriminator(image).features
    assert all(torch.allclose(ours, theirs, atol=0.2) for ours, theirs in zip(before, after, strict=True))
