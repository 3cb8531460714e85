"""Pyramid perceptual loss L_P (Eq. 11)."""

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dagan.losses.distance import mean_distance
from dagan.nn.blocks import AntiAliasDown
from dagan.nn.pyramid import PAPER_SCALES, ImagePyramid
from dagan.nn.vgg import VGG


class PerceptualLoss(nn.Module):
    """Sum over scales and VGG layers of the mean L1 between features of generated and driving image.

    A pyramid level larger than `max_side` is compared on one random square of that side (the same in both images), at a
    fraction of the cost and with more looks at the middle than at the rim; None compares whole images, as the paper.
    `down` makes the levels; published models were trained with `ReleasedDown`.
    """

    def __init__(
        self,
        vgg: VGG,
        scales: Sequence[float] = PAPER_SCALES,
        max_side: int | None = None,
        down: Callable[[float], nn.Module] = AntiAliasDown,
    ):
        super().__init__()
        self.vgg = vgg
        self.pyramid = ImagePyramid(scales, down)
        self.max_side = max_side

    def forward(self, generated: Float[Tensor, "b 3 h w"], driving: Float[Tensor, "b 3 h w"]) -> Float[Tensor, ""]:
        total = generated.new_zeros(())
        for level in self.distances(generated, driving):
            for distance in level:
                total = total + distance
        return total

    def distances(
        self, generated: Float[Tensor, "b 3 h w"], driving: Float[Tensor, "b 3 h w"]
    ) -> Iterator[list[Float[Tensor, ""]]]:
        """The mean L1 of each layer, level after level, finest level and first layer first."""
        for fake, real in zip(self.pyramid(generated), self.pyramid(driving), strict=True):
            rows, columns = random_square(fake.shape[2], fake.shape[3], self.max_side)
            with torch.no_grad():
                wanted = self.vgg(real[:, :, rows, columns])
            seen = self.vgg(fake[:, :, rows, columns])
            yield [mean_distance(ours, theirs) for ours, theirs in zip(seen, wanted, strict=True)]


def random_square(height: int, width: int, side: int | None) -> tuple[slice, slice]:
    """Row and column slices of a random square of `side`, or of everything when it is not larger.

    Squares about the middle, where faces are, are likelier than those at the rim (triangular density).
    """
    if side is None or side >= min(height, width):
        return slice(None), slice(None)
    top, left = (int(torch.rand(2).mean() * (length - side + 1)) for length in (height, width))
    return slice(top, top + side), slice(left, left + side)
