"""Several processes, one batch: started by `torchrun`, each takes its share of the samples and averages gradients."""

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True)
class World:
    """This process among all. One process alone is rank 0 of 1."""

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def any(self, claim: bool) -> bool:
        """Whether the claim holds in any process: how all stop at the same step."""
        if self.size == 1:
            return claim
        flag = torch.tensor(float(claim), device="cuda" if dist.get_backend() == "nccl" else "cpu")
        dist.all_reduce(flag, op=dist.ReduceOp.MAX)
        return bool(flag > 0)

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            dist.barrier()


def join_world() -> World:
    """The world that `torchrun` describes in the environment, joined; else a world of one."""
    if "RANK" not in os.environ:
        return World()
    if not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return World(dist.get_rank(), dist.get_world_size())


def average_gradients(module: nn.Module) -> None:
    """Replaces each gradient by its mean over all processes; nothing to do for one process alone."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    _write_back(flat, gradients)


def _write_back(flat: Tensor, gradients: list[Tensor]) -> None:
    start = 0
    for gradient in gradients:
        gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
        start += gradient.numel()
