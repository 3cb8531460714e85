"""How a run is computed and kept: the options that the training commands share."""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from dagan.cli.device import add_device_argument, pick_device
from dagan.cli.sizes import check_size
from dagan.errors import UserError

if TYPE_CHECKING:
    import torch

    from dagan.training.distributed import World
    from dagan.training.loop import LoopConfig
    from dagan.training.step import StepConfig

LEAST = {"accumulate": 1, "log_every": 1, "panel_every": 1, "checkpoint_every": 1, "keep": 1, "max_skipped": 1}


def add_common_arguments(parser: argparse.ArgumentParser, clips: str = "+") -> None:
    """What both training commands take; `clips`: how many folders (an `nargs`)."""
    parser.add_argument("clips", type=Path, nargs=clips, help="folders of face clips (videos, frame folders or shards)")
    parser.add_argument("-o", "--run", type=Path, required=True, help="run folder; an unfinished run there goes on")
    parser.add_argument("--preset", default="lite", help="model preset (dagan config list)")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="override a model setting")
    parser.add_argument(
        "--decode",
        choices=("seek", "cache"),
        help="seek: decode frames when they are needed; cache: decode all at the start (default with --cache)",
    )
    parser.add_argument("--cache", type=Path, help="folder for decoded frames and clip indexes (default: RUN/cache)")
    parser.add_argument("--size", type=int, default=256, help="side of the decoded frames in pixels (default: 256)")
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers (default: 0)")
    parser.add_argument("--repeats", type=int, default=1, help="visits to each person in an epoch (published: 75)")
    parser.add_argument("--workers", type=int, default=1, help="processes that load samples")
    parser.add_argument("--threads", type=int, help="CPU threads of the training process (default: all cores)")
    parser.add_argument("--batch-size", type=int, help="samples a step, of all processes (default: the recipe's)")
    add_device_argument(parser)
    add_engine_arguments(parser)


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how steps are made")
    group.add_argument(
        "--precision", choices=("auto", "bf16", "fp32"), default="auto", help="auto: bf16 where the hardware has it"
    )
    group.add_argument("--accumulate", type=int, default=1, metavar="N", help="split batches into N parts: less memory")
    group.add_argument("--clip", type=float, metavar="NORM", help="largest norm of the gradients; 0: no limit")
    group.add_argument(
        "--max-skipped",
        type=int,
        default=10,
        metavar="N",
        help="stop after N consecutive non-finite steps (10)",
    )
    group.add_argument(
        "--ema",
        type=float,
        default=0.999,
        metavar="DECAY",
        help="decay of the exported average (0.999)",
    )
    group = parser.add_argument_group("what is logged and kept")
    group.add_argument("--log-every", type=int, default=20, metavar="STEPS", help="default: 20")
    group.add_argument(
        "--panel-every", type=int, default=500, metavar="STEPS", help="draw pictures and validate (default: 500)"
    )
    group.add_argument(
        "--checkpoint-every", type=int, metavar="STEPS", help="save a checkpoint, besides every five minutes"
    )
    group.add_argument("--keep", type=int, default=3, metavar="N", help="keep the N newest checkpoints and the best")
    group.add_argument("--no-tensorboard", action="store_true", help="log to metrics.jsonl only")
    group.add_argument("--wandb", metavar="PROJECT", help="log to Weights & Biases too")


def join(args: argparse.Namespace) -> "World":
    """This process and its device among those of a launcher; sets PyTorch's number of CPU threads and keeps memory."""
    import torch

    from dagan.training.allocator import keep_freed_memory
    from dagan.training.distributed import join_world

    keep_freed_memory()
    if args.threads:
        torch.set_num_threads(args.threads)
    world = join_world(pick_device(args.device))
    if world.device.type == "cuda":
        torch.backends.cudnn.benchmark = True  # every step has the same shapes
    return world


def loop_config(args: argparse.Namespace) -> "LoopConfig":
    """How the run is kept. Raises UserError for numbers that cannot be and packages that are not there."""
    from dagan.training.journal import JournalConfig
    from dagan.training.loop import LoopConfig

    check_least(args, LEAST)
    if not 0 <= args.ema < 1:
        raise UserError(f"--ema is {args.ema}; it must be 0 or more and below 1")
    if not args.no_tensorboard and find_spec("tensorboard") is None:
        raise UserError("TensorBoard is not installed: pip install 'dagan[train]', or give --no-tensorboard")
    if args.wandb is not None and find_spec("wandb") is None:
        raise UserError("Weights & Biases is not installed: pip install wandb, or leave --wandb out")
    return LoopConfig(
        seed=args.seed,
        log_every=args.log_every,
        panel_every=args.panel_every,
        checkpoint_every=args.checkpoint_every,
        keep=args.keep,
        workers=args.workers,
        ema_decay=args.ema,
        max_skipped=args.max_skipped,
        journal=JournalConfig(tensorboard=not args.no_tensorboard, wandb=args.wandb),
    )


def step_config(args: argparse.Namespace, device: "torch.device", max_gradient: float) -> "StepConfig":
    """How steps are made; `max_gradient` unless --clip says otherwise."""
    from dagan.training.step import StepConfig, pick_precision

    if args.clip is not None and args.clip < 0:
        raise UserError(f"--clip is {args.clip:g}; it must be 0 (no clipping) or more")
    return StepConfig(
        precision=pick_precision(device, args.precision),
        accumulate=args.accumulate,
        max_gradient=args.clip if args.clip is not None else max_gradient,
    )


def step_facts(args: argparse.Namespace) -> dict[str, object]:
    """What resume compares of how steps are made: as asked for, for a run may go on on another machine."""
    return {"precision": args.precision, "accumulate": args.accumulate, "clip": args.clip, "ema": args.ema}


def run_config(args: argparse.Namespace, **parts: object) -> dict[str, object]:
    """The run as one plain value: what resume compares."""
    from dagan.config import to_plain

    facts: dict[str, object] = {
        "seed": args.seed,
        "size": args.size,
        "clips": [str(path) for path in args.clips],
        "step": step_facts(args),
    }
    if args.repeats != 1:  # not among the facts of runs from before there was a choice
        facts["repeats"] = args.repeats
    return {**facts, **{name: to_plain(part) for name, part in parts.items()}}


def check_numbers(args: argparse.Namespace) -> None:
    """Raises UserError for numbers that no run can have."""
    check_size(args.size)
    check_least(args, {"steps": 1, "batch_size": 1, "workers": 0, "repeats": 1, "threads": 1, "perceptual_side": 0})


def check_run(args: argparse.Namespace) -> None:
    """Raises UserError when the run would lie in a folder, or replace a file, that it is made from."""
    from dagan.files import check_output
    from dagan.training.depth_stage import POSE_MODEL
    from dagan.training.loop import BEST_MODEL, MODEL

    folders = [*getattr(args, "clips", []), *(getattr(args, "landmarks", None) or [])]
    check_output(args.run, folders)
    files = [path for name in ("start", "depth", "perceptual") if (path := getattr(args, name, None)) is not None]
    for name in (MODEL, BEST_MODEL, POSE_MODEL):
        check_output(args.run / name, map(Path, files))


def check_least(args: argparse.Namespace, least: dict[str, int]) -> None:
    """Raises UserError for an option below its least value."""
    for name, value in least.items():
        given = getattr(args, name, None)
        if given is not None and given < value:
            raise UserError(f"--{name.replace('_', '-')} is {given}; it must be {value} or more")


def say(world: "World", text: str) -> None:
    """Prints once, however many processes there are."""
    if world.is_main:
        print(text, file=sys.stdout, flush=True)
