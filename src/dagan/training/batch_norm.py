"""Batch norm over the samples of all processes: N processes then train as one with the same global batch."""

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from dagan.training.distributed import World


class _MeanOverProcesses(torch.autograd.Function):
    """The mean of a tensor over all processes, differentiable in each."""

    @staticmethod
    def forward(ctx: object, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total / dist.get_world_size()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return _MeanOverProcesses.forward(ctx, gradient.contiguous())


class ProcessBatchNorm2d(nn.BatchNorm2d):
    """`nn.SyncBatchNorm` for CPUs, on which PyTorch's does not run; every process must have equally many samples."""

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        if not self.training:
            return super().forward(x)
        wide = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
        mean = _mean(wide.mean((0, 2, 3)))
        centred = wide - mean[:, None, None]
        variance = _mean(centred.square().mean((0, 2, 3)))
        self._follow(mean.detach(), variance.detach(), x.numel() // x.shape[1] * dist.get_world_size())
        scale = (variance + self.eps).rsqrt()
        shift = torch.zeros_like(scale)
        if self.affine:
            scale, shift = scale * self.weight, self.bias
        return (centred * scale[:, None, None] + shift[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Moves the running statistics; their variance is the unbiased one."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        rate = self.momentum if self.momentum is not None else 1 / int(self.num_batches_tracked)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), rate)
        self.running_var.lerp_((variance * count / (count - 1)).to(self.running_var.dtype), rate)


def _mean(value: Tensor) -> Tensor:
    mean: Tensor = _MeanOverProcesses.apply(value)  # type: ignore[no-untyped-call]
    return mean


def synchronise_batch_norm(module: nn.Module, world: World) -> None:
    """Makes the batch norms inside `module` see all processes; names in the state dict stay."""
    if world.size == 1:
        return
    if world.device.type != "cpu":
        nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        return
    for child in module.modules():
        if type(child) is nn.BatchNorm2d:
            child.__class__ = ProcessBatchNorm2d  # with its parameters and statistics
