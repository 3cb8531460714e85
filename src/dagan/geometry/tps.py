"""Random smooth warps of the plane, for the equivariance loss L_E (Eq. 12; FOMM's transformation)."""

from dataclasses import dataclass, replace

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor

from dagan.geometry.grid import GridFunction, coordinate_grid

AFFINE_SIGMA = 0.05  # spread of the affine part, as FOMM
TPS_SIGMA = 0.005  # spread of the thin-plate weights, as FOMM
TPS_POINTS = 5  # control points per side
LOG_FLOOR = 1e-6


@dataclass(frozen=True)
class PlaneWarp:
    """T(x) = A x + t + sum_j w_j U(|x - c_j|), U(r) = r^2 log r with r the L1 distance; one per batch element."""

    linear: Float[Tensor, "b 2 2"]
    shift: Float[Tensor, "b 2"]
    controls: Float[Tensor, "p 2"]
    weights: Float[Tensor, "b p"]

    @classmethod
    def random(cls, batch: int, generator: torch.Generator, like: Tensor) -> "PlaneWarp":
        """A warp near the identity drawn from `generator` (a CPU generator), on the device of `like`."""
        affine = torch.randn(batch, 2, 3, generator=generator) * AFFINE_SIGMA + torch.eye(2, 3)
        weights = torch.randn(batch, TPS_POINTS**2, generator=generator) * TPS_SIGMA
        side = torch.linspace(-1, 1, TPS_POINTS)
        controls = rearrange(torch.stack(torch.meshgrid(side, side, indexing="xy"), -1), "i j d -> (i j) d")
        linear, shift, controls, weights = (
            value.to(like.device, like.dtype) for value in (affine[:, :, :2], affine[:, :, 2], controls, weights)
        )
        return cls(linear, shift, controls, weights)

    @classmethod
    def affine(cls, motion: Float[Tensor, "b 2 3"]) -> "PlaneWarp":
        """A x + t without any bend."""
        return cls(motion[:, :, :2], motion[:, :, 2], motion.new_zeros(1, 2), motion.new_zeros(len(motion), 1))

    def of(self, rows: slice) -> "PlaneWarp":
        """The warps of some elements of the batch."""
        return replace(self, linear=self.linear[rows], shift=self.shift[rows], weights=self.weights[rows])

    def __call__(self, points: Float[Tensor, "_b n 2"]) -> Float[Tensor, "b n 2"]:
        """T applied to points; one set of points stands for every element of the batch."""
        moved = einsum(self.linear, points.expand(len(self.linear), -1, -1), "b i j, b n j -> b n i")
        moved = moved + self.shift[:, None]
        return moved + self._bend(points)[..., None]

    def grid(self, height: int, width: int, build_grid: GridFunction = coordinate_grid) -> Float[Tensor, "b h w 2"]:
        """T of every pixel centre: the sampling field of the transformed image."""
        moved = self(rearrange(build_grid(height, width, self.linear), "h w d -> 1 (h w) d"))
        return rearrange(moved, "b (h w) d -> b h w d", h=height)

    def jacobian(self, points: Float[Tensor, "b n 2"]) -> Float[Tensor, "b n 2 2"]:
        """dT/dx at points (analytic, differentiable in the points)."""
        away = points[:, :, None] - self.controls  # b n p 2
        distance = away.abs().sum(-1)
        slope = 2 * distance * torch.log(distance + LOG_FLOOR) + distance.square() / (distance + LOG_FLOOR)
        bend = einsum(self.weights, slope, away.sign(), "b p, b n p, b n p d -> b n d")
        return self.linear[:, None] + bend[:, :, None]

    def _bend(self, points: Float[Tensor, "_b n 2"]) -> Float[Tensor, "b n"]:
        away = [(points[:, :, None, d] - self.controls[:, d]).abs() for d in range(2)]
        distance = away[0] + away[1]  # _b n p
        radial = distance.square() * torch.log(distance + LOG_FLOOR)
        return (radial @ self.weights[:, :, None]).squeeze(-1)
