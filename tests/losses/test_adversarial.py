"""L_G: least squares and feature matching."""

import pytest
import torch

from dagan.losses.adversarial import discriminator_adversarial, feature_matching, generator_adversarial
from dagan.models.discriminator import Judgement


def judged(prediction: float, feature: float = 0.0) -> Judgement:
    """A judgement of one value everywhere."""
    maps = tuple(torch.full((2, channels, 4, 4), feature, requires_grad=True) for channels in (3, 5))
    return Judgement(torch.full((2, 1, 4, 4), prediction, requires_grad=True), maps)


@pytest.mark.parametrize(("prediction", "loss"), [(1.0, 0.0), (0.0, 1.0), (-1.0, 4.0)])
def test_the_generator_wants_its_images_judged_1(prediction: float, loss: float) -> None:
    assert generator_adversarial(judged(prediction)).item() == loss


def test_the_generators_gradient_raises_the_judgement() -> None:
    fake = judged(0.2)
    (slope,) = torch.autograd.grad(generator_adversarial(fake), fake.prediction)
    assert slope.max() < 0


@pytest.mark.parametrize(
    ("real", "fake", "loss"), [(1.0, 0.0, 0.0), (0.0, 1.0, 2.0), (0.5, 0.0, 0.25), (1.0, 0.5, 0.25)]
)
def test_the_discriminator_wants_1_for_real_and_0_for_generated(real: float, fake: float, loss: float) -> None:
    assert discriminator_adversarial(judged(real), judged(fake)).item() == pytest.approx(loss)


def test_the_discriminators_gradient_parts_real_from_generated() -> None:
    real, fake = judged(0.4), judged(0.6)
    loss = discriminator_adversarial(real, fake)
    towards_real, towards_fake = (torch.autograd.grad(loss, j.prediction, retain_graph=True)[0] for j in (real, fake))
    assert towards_real.max() < 0 < towards_fake.min()


def test_feature_matching_is_the_sum_over_layers_of_the_mean_distance() -> None:
    assert feature_matching(judged(0.0, feature=1.0), judged(0.0, feature=1.0)).item() == 0
    assert feature_matching(judged(0.0, feature=1.0), judged(0.0, feature=1.25)).item() == pytest.approx(2 * 0.25)


def test_feature_matching_moves_the_generated_features_only() -> None:
    real, fake = judged(0.0, feature=1.0), judged(0.0, feature=2.0)
    loss = feature_matching(real, fake)
    for layer in range(2):
        slope = torch.autograd.grad(loss, fake.features[layer], retain_graph=True)[0]
        assert slope.min() > 0
        unmoved = torch.autograd.grad(loss, real.features[layer], retain_graph=True, allow_unused=True)[0]
        assert unmoved is None
