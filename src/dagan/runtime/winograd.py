"""Residual blocks by Winograd's minimal filtering F(4x4, 3x3): 36 multiplications where 16 pixels of a direct 3x3
convolution take 144.

Written as matrix products, so that any runtime computes it. A map of c channels is held in *blocks*: pixels with the
same place in their 4x4 tile are one matrix, `16 t c` for t tiles. A convolution gathers each tile with its border (36
places), transforms it (B), multiplies by the transformed weights (G, one matrix for each place), and transforms back
(A) into blocks, so that nothing has to be reordered between convolutions.
"""

import itertools
from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from dagan.nn.blocks import ResBlock

TILE, TAPS = 4, 3
SEEN = TILE + TAPS - 1  # side of a tile with its border
# Where the polynomials are evaluated, beside infinity: 6 dB less rounding noise than the customary 0, 1, -1, 2, -2.
POINTS = (0.0, 2**-0.5, -(2**-0.5), 2**0.5, -(2**0.5))


def transforms() -> tuple[Float[Tensor, "4 6"], Float[Tensor, "6 3"], Float[Tensor, "6 6"]]:
    """A, G and B of F(4, 3) by Cook and Toom: the convolution of d by g is A ((G g) * (B d)); float64.

    Rows of B and G have length 1, A takes what remains: all numbers between are of the same order.
    """
    points = torch.tensor(POINTS, dtype=torch.float64)
    powers = points[:, None] ** torch.arange(SEEN)
    back, weights, forth = (
        torch.zeros(shape, dtype=torch.float64) for shape in ((TILE, SEEN), (SEEN, TAPS), (SEEN,) * 2)
    )
    back[:, :-1], back[-1, -1] = powers[:, :TILE].T, 1
    for row, point in enumerate(points):
        others = torch.cat([points[:row], points[row + 1 :]])
        weights[row] = powers[row, :TAPS] / (point - others).prod()
        forth[row, :-1] = _polynomial(others)
    weights[-1, -1], forth[-1] = 1, _polynomial(points)
    lengths, gains = forth.norm(dim=1), weights.norm(dim=1)
    return back * lengths * gains, weights / gains[:, None], forth / lengths[:, None]


def _polynomial(roots: Tensor) -> Tensor:
    """Coefficients of the product of (x - root), lowest power first."""
    coefficients = torch.ones(1, dtype=roots.dtype)
    for root in roots:
        coefficients = F.pad(coefficients, (1, 0)) - root * F.pad(coefficients, (0, 1))
    return coefficients


def suits(blocks: nn.Module, side: int) -> bool:
    """Whether these are residual blocks, and wide enough for the transforms to cost less than they save."""
    return (
        isinstance(blocks, nn.Sequential)
        and all(isinstance(block, ResBlock) and block.conv1.in_channels >= 128 for block in blocks)
        and side % TILE == 0
    )


class WinogradChain(nn.Module):
    """Residual blocks one after another on one square map of `side` pixels, in eval mode.

    The last tile is none: it is kept at zero and is what the border of the map is gathered from. It also keeps the
    distance between the matrices off a power of two, which caches dislike (a quarter faster).
    """

    back: Tensor
    forth: Tensor
    places: Tensor
    inside: Tensor

    def __init__(self, blocks: nn.Sequential, side: int) -> None:
        super().__init__()
        back, weights, forth = transforms()
        self.side, self.num_tiles = side, (side // TILE) ** 2
        self.register_buffer("back", torch.kron(back, back).float())  # 16 36
        self.register_buffer("forth", torch.kron(forth, forth).float())  # 36 36
        self.register_buffer("places", _places_seen(side))
        inside = torch.ones(self.num_tiles + 1, 1)
        inside[-1] = 0
        self.register_buffer("inside", inside)
        self.steps = nn.ModuleList(_Step(cast(ResBlock, block), weights) for block in blocks)

    def forward(self, x: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c h w"]:
        tiles = self.side // TILE
        blocks = rearrange(x, "1 c (y i) (x j) -> (i j) (y x) c", i=TILE, j=TILE)
        blocks = F.pad(blocks, (0, 0, 0, 1))
        for step in self.steps:
            blocks = step(blocks, self._convolved)
        return rearrange(blocks[:, :-1], "(i j) (y x) c -> 1 c (y i) (x j)", i=TILE, j=TILE, y=tiles, x=tiles)

    def _convolved(self, blocks: Float[Tensor, "16 t c"], weights: Float[Tensor, "36 c c"]) -> Float[Tensor, "16 t c"]:
        _, tiles, channels = blocks.shape
        seen = (blocks * self.inside).reshape(-1, channels)[self.places]  # (36 t) c
        transformed = (self.forth @ seen.reshape(SEEN**2, -1)).reshape(SEEN**2, tiles, channels)
        products = transformed @ weights
        return (self.back @ products.reshape(SEEN**2, -1)).reshape(TILE**2, tiles, channels)


class _Step(nn.Module):
    """What a `ResBlock` knows: the first norm as scale and shift, the convolutions transformed, the second norm in."""

    scale: Tensor
    shift: Tensor
    first: Tensor
    first_bias: Tensor
    second: Tensor
    second_bias: Tensor

    def __init__(self, block: ResBlock, weights: Float[Tensor, "6 3"]) -> None:
        super().__init__()
        scale, shift = _as_affine(block.norm1)
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)
        after, offset = _as_affine(block.norm2)
        for name, conv, gain, plus in (
            ("first", block.conv1, after, offset),
            ("second", block.conv2, torch.ones(1), torch.zeros(1)),
        ):
            assert conv.bias is not None
            kernel = conv.weight.double() * gain.double()[:, None, None, None]
            transformed = torch.einsum("pi, qj, dcij -> pqcd", weights, weights, kernel).flatten(0, 1)
            self.register_buffer(name, transformed.float().contiguous())
            self.register_buffer(f"{name}_bias", conv.bias * gain + plus)

    def forward(self, blocks: Float[Tensor, "16 t c"], convolve: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        hidden = F.relu(blocks * self.scale + self.shift)
        hidden = F.relu(convolve(hidden, self.first) + self.first_bias)
        return blocks + (convolve(hidden, self.second) + self.second_bias)


def _as_affine(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Scale and shift per channel of a batch norm in eval mode, or of none."""
    if not isinstance(norm, nn.BatchNorm2d):
        return torch.ones(1), torch.zeros(1)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return scale, norm.bias - norm.running_mean * scale


def _places_seen(side: int) -> Int[Tensor, "n"]:
    """Which row of the blocks, as `(16 t) c`, each of the 36 places of each tile is; outside of the map the last."""
    tiles = side // TILE
    num_rows = tiles**2 + 1  # of one matrix
    row, column = torch.meshgrid(torch.arange(tiles), torch.arange(tiles), indexing="ij")
    places = []
    for down, right in itertools.product(range(-1, TILE + 1), repeat=2):
        y, x = (TILE * row + down).flatten(), (TILE * column + right).flatten()
        at = ((y % TILE) * TILE + x % TILE) * num_rows + (y // TILE) * tiles + x // TILE
        within = (y >= 0) & (y < side) & (x >= 0) & (x < side)
        places.append(F.pad(torch.where(within, at, num_rows - 1), (0, 1), value=num_rows - 1))
    return torch.cat(places)
