"""A tiny run of stage 2 in as many processes as launched it: `python tests/tiny_run.py FOLDER [options]`.

The tests start it under `torchrun` and by itself, end it in every way, and compare what it leaves.
"""

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dagan.errors import UserError
from dagan.losses.objective import PAPER_OBJECTIVE
from dagan.training.distributed import join_world
from dagan.training.generation_stage import GenerationStage
from dagan.training.journal import StepReport
from dagan.training.loop import LoopConfig, train
from dagan.training.phases import Phase
from dagan.training.run_folder import prepare_folder
from dagan.training.step import StepConfig
from parts import face_clips, tiny_head, tiny_networks

BATCH, SIDE = 4, 64


class ScriptedStage(GenerationStage):
    """Stage 2 whose processes meet their fates when told."""

    killed_at: int | None = None
    killed_rank: int = 0

    def step(self, phase: Phase, batch: Any, step: int) -> StepReport:
        if step == self.killed_at and self.world.rank == self.killed_rank:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(phase, batch, step)


def freeze_statistics(module: nn.Module) -> None:
    """Batch norms use their running statistics, which stay, as in evaluation; their weights are trained."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()


def compute_in_double() -> None:
    """Everything in float64, in this process: what remains between two ways to compute a step is then no rounding."""
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double  # type: ignore[method-assign]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--every", type=int, default=100, help="steps between checkpoints")
    parser.add_argument("--kill", type=int, help="step at which a process is killed")
    parser.add_argument("--rank", type=int, default=0, help="the process that is killed")
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--frozen", action="store_true", help="batch norms with frozen statistics")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--apart", action="store_true", help="each process has a folder of its own: FOLDER/RANK")
    parser.add_argument("--eps", type=float, default=1e-8, help="of Adam")
    parser.add_argument("--double", action="store_true", help="compute in float64")
    args = parser.parse_args()
    if args.double:
        compute_in_double()
    torch.set_num_threads(1)
    world = join_world()
    torch.manual_seed(0)
    config = tiny_head()
    networks = tiny_networks(config)
    stage = ScriptedStage(
        networks=networks.double() if args.double else networks,
        config=config,
        phases=(Phase(steps=args.steps, batch_size=BATCH, image_size=SIDE, objective=PAPER_OBJECTIVE),),
        clips=face_clips(3),
        tracks=None,
        validation=[],
        device=world.device,
        seed=0,
        world=world,
        how=StepConfig(accumulate=args.accumulate),
        compiled=args.compile,
    )
    stage.killed_at, stage.killed_rank = args.kill, args.rank
    for optimizer in stage.optimizers.values():
        optimizer.param_groups[0]["eps"] = args.eps
    if args.frozen:
        freeze_statistics(stage.networks)
    folder = args.folder / str(world.rank) if args.apart else args.folder
    if world.is_main:
        prepare_folder(folder)
    loop = LoopConfig(workers=0, log_every=1, panel_every=100, checkpoint_every=args.every)
    try:
        train(stage, loop, {"steps": args.steps}, folder, world)
    except UserError as error:
        print(f"rank {world.rank}: {error}", file=sys.stderr, flush=True)
        return 2
    world.leave()
    return 0


if __name__ == "__main__":
    sys.exit(main())
