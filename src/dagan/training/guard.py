"""Steps whose gradients are not finite are not taken, but counted, and a row of them ends the run.

Nothing here waits for a GPU: the decision stays on the device, and the host reads it one step later.
"""

from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dagan.data.tensor_files import save_tensors
from dagan.errors import UserError
from dagan.training.batches import named_tensors
from dagan.training.distributed import World, copy_flat

BATCH_FILE = "nonfinite_batch.safetensors"


class RunningState:
    """The floating-point buffers of modules as they are now: running statistics take in a bad batch before its
    gradients show that it is one."""

    def __init__(self, *modules: nn.Module) -> None:
        self.buffers = [b for module in modules for b in module.buffers() if b.is_floating_point()]
        self.kept = self._flat()

    def _flat(self) -> Tensor:
        return torch.cat([buffer.flatten() for buffer in self.buffers]) if self.buffers else torch.zeros(0)

    @torch.no_grad()
    def keep_if(self, finite: Tensor) -> None:
        """Leaves the buffers as they have become where `finite`, else puts them back."""
        if self.buffers:
            chosen = torch.where(finite, self._flat(), self.kept)
            copy_flat(chosen, self.buffers)


def clip_gradients(modules: Iterable[nn.Module], max_norm: float) -> Tensor:
    """The norm of all gradients together, which are scaled down to `max_norm` where they exceed it (0: never)."""
    parameters = [p for module in modules for p in module.parameters() if p.grad is not None]
    return nn.utils.clip_grad_norm_(parameters, max_norm or float("inf"))


def step_if(finite: Tensor, *optimizers: Optimizer) -> None:
    """One step of each fused optimiser, without effect (on its own state, too) unless `finite`."""
    for optimizer in optimizers:
        optimizer.found_inf = (~finite).to(torch.float32)  # type: ignore[attr-defined]  # what `GradScaler` sets, too
        optimizer.step()
        del optimizer.found_inf  # type: ignore[attr-defined]


class _Seen(NamedTuple):
    """A step of which the host does not know yet whether it was finite."""

    step: int
    finite: Tensor
    known: "torch.cuda.Event | None"
    batch: Any


class Guard:
    """Counts steps that were not taken; so many in a row end the run, with the batch of the last one saved."""

    def __init__(self, limit: int, folder: Path, world: World, skipped: int = 0) -> None:
        self.limit, self.folder, self.world = limit, folder, world
        self.skipped, self.in_a_row = skipped, 0
        self.waiting: deque[_Seen] = deque()

    def see(self, step: int, finite: Tensor, batch: Any) -> None:
        """Takes note of a step. Of gradients averaged over processes, `finite` is the same in all of them.

        Raises UserError in every process when `limit` steps in a row were not finite.
        """
        self.waiting.append(_to_host(step, finite, batch))
        while len(self.waiting) > (1 if finite.device.type == "cuda" else 0):
            self._settle(self.waiting.popleft())

    def settle(self) -> None:
        """Waits for all steps so far."""
        while self.waiting:
            self._settle(self.waiting.popleft())

    def _settle(self, seen: _Seen) -> None:
        if seen.known is not None:
            seen.known.synchronize()
        if seen.finite:
            self.in_a_row = 0
            return
        self.skipped, self.in_a_row = self.skipped + 1, self.in_a_row + 1
        if self.in_a_row >= self.limit:
            self._give_up(seen)

    def _give_up(self, seen: _Seen) -> None:
        path = self.folder / BATCH_FILE
        tensors = {name: self.world.gather(value.cpu().contiguous()) for name, value in named_tensors(seen.batch)}
        if self.world.is_main:
            save_tensors(path, tensors, {"step": str(seen.step + 1)})
        raise UserError(
            f"{self.limit} steps in a row, the last of them step {seen.step + 1}, had gradients that are not finite; "
            f"its batch is in {path}; try a smaller learning rate, --clip 10 or --precision fp32"
        )


def _to_host(step: int, finite: Tensor, batch: Any) -> _Seen:
    if finite.device.type != "cuda":
        return _Seen(step, finite, None, batch)
    flag = torch.empty((), dtype=torch.bool, pin_memory=True).copy_(finite, non_blocking=True)
    known = torch.cuda.Event()  # type: ignore[no-untyped-call]
    known.record()
    return _Seen(step, flag, known, batch)
