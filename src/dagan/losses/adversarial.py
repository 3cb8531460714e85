"""Least-squares GAN losses L_G, hinge losses, and the discriminator's feature matching (Sec. 3.5, A.1)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from dagan.losses.distance import mean_distance
from dagan.models.discriminator import Judgement


def generator_adversarial(fake: Judgement) -> Float[Tensor, ""]:
    """Mean squared distance of the generated image's prediction from 1 (real)."""
    return (1 - fake.prediction.float()).square().mean()


def discriminator_adversarial(real: Judgement, fake: Judgement) -> Float[Tensor, ""]:
    """Mean squared distance of real predictions from 1 and of generated ones from 0."""
    return ((1 - real.prediction.float()).square() + fake.prediction.float().square()).mean()


def generator_hinge(fake: Judgement) -> Float[Tensor, ""]:
    """Minus the mean prediction of the generated image."""
    return -fake.prediction.float().mean()


def discriminator_hinge(real: Judgement, fake: Judgement) -> Float[Tensor, ""]:
    """Real predictions are to be above 1, generated ones below -1."""
    return F.relu(1 - real.prediction.float()).mean() + F.relu(1 + fake.prediction.float()).mean()


def feature_matching(real: Judgement, fake: Judgement) -> Float[Tensor, ""]:
    """Sum over the discriminator's layers of the mean L1 between real and generated features (pix2pixHD)."""
    return torch.stack(feature_distances(real, fake)).sum()


def feature_distances(real: Judgement, fake: Judgement) -> list[Float[Tensor, ""]]:
    """The mean L1 between real and generated features of each layer, first layer first."""
    return [mean_distance(ours, theirs.detach()) for theirs, ours in zip(real.features, fake.features, strict=True)]
