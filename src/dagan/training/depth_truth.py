"""The supervised term for the default weights: F_d against the exact depth of synthetic heads.

It is no part of the paper's stage 1 and of no table that says "self-supervised". It is there because video alone leaves
the relief of a real face uncertain (docs/depth.md), and the default weights should have noses that stick out.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from dagan.data.augment import augment
from dagan.data.synthetic import BACKGROUND, HEAD
from dagan.data.synthetic.store import StoredClip
from dagan.losses.portrait import HEAD_DISPARITY

HEAD_WEIGHT, BODY_WEIGHT, BACKGROUND_WEIGHT = 4.0, 1.0, 0.5
SLOPE_WEIGHT = 4.0  # of differences between neighbours: the relief, where the sum of errors sees mostly the outline
ZOOM = 0.2  # log scale of the crop
SHIFT = 0.12  # of half the frame


class TrueDepth(NamedTuple):
    """A synthetic frame, the disparity that F_d should give, and how much each pixel counts."""

    frame: Float[Tensor, "*b 3 h w"]
    disparity: Float[Tensor, "*b 1 h w"]
    weight: Float[Tensor, "*b 1 h w"]


class TrueDepths(Dataset[TrueDepth]):
    """Random frames of synthetic clips, moved, zoomed and recoloured. Item i depends on (seed, i) only.

    The target is for a camera of focal length `portrait_focal` image sides, whatever the clip's was: a head's relief in
    proportion to its size in the picture is then the same for all, as a single image gives no other way to know it.
    """

    def __init__(
        self,
        clips: Sequence[StoredClip],
        length: int,
        seed: int,
        portrait_focal: float = 2.0,
        min_depth: float = 0.7,
        max_depth: float = 1.2,
    ) -> None:
        self.clips, self.length, self.seed = clips, length, seed
        self.portrait_focal, self.nearest, self.farthest = portrait_focal, 1 / min_depth, 1 / max_depth

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> TrueDepth:
        numbers = np.random.default_rng((self.seed, index, 7))
        stored = self.clips[int(numbers.integers(len(self.clips)))]
        at = int(numbers.integers(len(stored.clip)))
        zoom = float(np.exp(numbers.uniform(-ZOOM, ZOOM)))
        truth = stored.truth()
        depth = torch.from_numpy(truth.depth[at]).float()
        part = torch.from_numpy(truth.part[at])
        focal = float(truth.intrinsics[0, 0]) / depth.shape[-1] * zoom
        disparity = self._target(depth, part == HEAD, focal)
        weight = torch.where(part == HEAD, HEAD_WEIGHT, torch.where(part == BACKGROUND, BACKGROUND_WEIGHT, BODY_WEIGHT))
        frame = torch.from_numpy(np.array(stored.clip.frames[at])).permute(2, 0, 1).float() / 255
        planes = torch.cat([frame, disparity[None], weight[None]])
        cropped = _cropped(planes, zoom, numbers)
        frame, disparity, weight = cropped[:3], cropped[3:4], cropped[4:]
        generator = torch.Generator().manual_seed(int(numbers.integers(2**63)))
        coloured, flipped = augment(frame[None], generator)
        if flipped:
            disparity, weight = disparity.flip(-1), weight.flip(-1)
        return TrueDepth(worn(coloured[0], numbers, generator), disparity, weight)

    def _target(self, depth: Float[Tensor, "h w"], head: Tensor, focal: float) -> Float[Tensor, "h w"]:
        """Sigmoid disparity: the head's mean at `HEAD_DISPARITY`, relief as the portrait camera would see it."""
        middle = self.farthest + (self.nearest - self.farthest) * HEAD_DISPARITY
        relief = 1 + (depth / depth[head].median() - 1) * (focal / self.portrait_focal)
        inverse = middle / relief.clamp(min=0.2)
        return ((inverse - self.farthest) / (self.nearest - self.farthest)).clamp(0.01, 0.99)


def truth_error(disparities: tuple[Float[Tensor, "b 1 _h _w"], ...], truth: TrueDepth) -> Float[Tensor, ""]:
    """Weighted mean |error| of the disparity and of its slopes, over the pyramid's scales."""
    total = truth.disparity.new_zeros(())
    for scale, disparity in enumerate(disparities):
        size = disparity.shape[-2], disparity.shape[-1]
        target, weight = (functional.adaptive_avg_pool2d(plane, size) for plane in (truth.disparity, truth.weight))
        error = disparity.float() - target
        slopes = [(error.diff(dim=dim).abs() * weight.narrow(dim, 1, weight.shape[dim] - 1)).mean() for dim in (2, 3)]
        total = total + ((error.abs() * weight).mean() + SLOPE_WEIGHT * sum(slopes)) / weight.mean() / 2**scale
    return total


def _cropped(planes: Float[Tensor, "c h w"], zoom: float, numbers: np.random.Generator) -> Float[Tensor, "c h w"]:
    """Zoomed about a shifted middle; the border repeats."""
    shift = torch.from_numpy(numbers.uniform(-SHIFT, SHIFT, 2)).float()
    affine = torch.tensor([[1 / zoom, 0, float(shift[0])], [0, 1 / zoom, float(shift[1])]])[None]
    grid = functional.affine_grid(affine, [1, *planes.shape], align_corners=False)
    return functional.grid_sample(planes[None], grid, padding_mode="border", align_corners=False)[0]


def worn(
    frame: Float[Tensor, "3 h w"], numbers: np.random.Generator, generator: torch.Generator
) -> Float[Tensor, "3 h w"]:
    """As cameras and codecs leave a picture: another gamma, at times grey, blurred or noisy."""
    frame = frame.clamp(1e-4, 1) ** float(np.exp(numbers.uniform(-0.5, 0.4)))
    if numbers.random() < 0.2:
        frame = frame.mean(0, keepdim=True).expand(3, -1, -1)
    if numbers.random() < 0.5:
        side = int(numbers.choice([3, 5]))
        frame = functional.avg_pool2d(frame[None], side, 1, side // 2, count_include_pad=False)[0]
    noise = torch.randn(frame.shape, generator=generator) * float(numbers.uniform(0, 0.03))
    return (frame + noise).clamp(0, 1)
