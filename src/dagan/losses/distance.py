"""The mean L1 between features, in one pass over each."""

import torch
from jaxtyping import Float
from torch import Tensor


def mean_distance(ours: Float[Tensor, "*shape"], theirs: Float[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """Mean |ours - theirs| in float32, with a gradient for `ours` alone.

    The difference is taken in the features' own precision: its sign, which is all that the gradient needs, is exact.
    """
    mean: Tensor = _MeanDistance.apply(ours, theirs)  # type: ignore[no-untyped-call]
    return mean


class _MeanDistance(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, ours: Tensor, theirs: Tensor) -> Tensor:
        difference = ours - theirs
        ctx.save_for_backward(difference)
        return difference.abs().mean(dtype=torch.float32)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        (difference,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return difference.sign().mul_(gradient / difference.numel()), None
