"""Several processes, one batch: `torchrun` or `accelerate launch` starts them, each takes its share of the samples.

Hugging Face Accelerate joins them and finds each its device; one process alone needs neither. Gradients are averaged in
one piece after the backward passes, not by DistributedDataParallel: phases train different networks, which it would
have to search for in every step, and at two dozen million weights there is hardly anything to overlap. Accelerate's
own trainer, gather and samplers are not used: a resumed run must equal an uninterrupted one bit for bit, in any number
of processes, and they keep no such promise.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from dagan.errors import UserError

CPU = torch.device("cpu")
PATIENCE = timedelta(minutes=30)  # that others wait for one: rank 0 decodes, validates and saves


@dataclass(frozen=True)
class World:
    """This process among all. One process alone is rank 0 of 1. Numbers that are not gradients travel on the CPU."""

    rank: int = 0
    size: int = 1
    device: torch.device = CPU

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            self.mean(torch.zeros(1))  # not `dist.barrier`, which takes a GPU where there is one

    def mean(self, values: Tensor) -> Tensor:
        """The mean of CPU tensors over all processes."""
        if self.size == 1:
            return values
        total = values.clone()
        dist.all_reduce(total)
        return total / self.size

    def gather(self, value: Tensor) -> Tensor:
        """CPU tensors of equal size from all processes along the first axis, in every process."""
        if self.size == 1:
            return value
        parts = [torch.empty_like(value) for _ in range(self.size)]
        dist.all_gather(parts, value.contiguous())
        return torch.cat(parts)

    def from_main(self, value: Tensor) -> Tensor:
        """The first process's value of a CPU tensor, in every process."""
        if self.size > 1:
            dist.broadcast(value, 0)
        return value

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """The main process goes through the block before the others: what it decodes or downloads, they find."""
        if not self.is_main:
            self.wait()
        yield
        if self.is_main:
            self.wait()

    def leave(self) -> None:
        """The end of the work together."""
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()


ALONE = World()


class Consensus:
    """Whether any process has asked for something. Of several, the answer is to the question before: nobody waits."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.pending: tuple[dist.Work, Tensor] | None = None

    def asked(self, claim: bool) -> bool:
        if self.world.size == 1:
            return claim
        before, flag = self.pending, torch.tensor(float(claim))
        work = dist.all_reduce(flag, op=dist.ReduceOp.MAX, async_op=True)
        assert work is not None
        self.pending = work, flag
        if before is None:
            return False
        before[0].wait()
        return bool(before[1] > 0)


def is_launched() -> bool:
    """Whether a launcher has started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def join_world(device: torch.device = CPU) -> World:
    """The world that the launcher describes in the environment, joined; else a world of one.

    Raises UserError when Accelerate is not installed.
    """
    if not is_launched():
        return World(device=device)
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise UserError("training in several processes needs Accelerate; pip install 'dagan[train]'") from error
    cpu = device.type == "cpu"
    state = PartialState(cpu=cpu, backend="gloo" if cpu else "cuda:nccl,cpu:gloo", timeout=PATIENCE)
    return World(state.process_index, state.num_processes, CPU if cpu else state.device)


@contextmanager
def naming_lost_peers() -> Iterator[None]:
    """Turns the errors of collectives into one line: what others see when one process of a run is gone."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and not any(name in str(error) for name in ("gloo", "NCCL")):
            raise
        raise UserError(
            "another process of this run has ended or does not answer, so this one ends too; "
            "the same command goes on from the last checkpoint"
        ) from error


def average_gradients(*modules: nn.Module) -> None:
    """Replaces each gradient by its mean over all processes; nothing to do for one process alone."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return
    gradients = [p.grad for module in modules for p in module.parameters() if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    copy_flat(flat, gradients)


def copy_flat(flat: Tensor, tensors: list[Tensor]) -> None:
    """Fills tensors, one after the other, from a vector of all their values."""
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    torch._foreach_copy_(tensors, [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)])
