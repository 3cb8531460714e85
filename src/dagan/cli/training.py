"""How a run is computed and kept: the options that the training commands share."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagan.cli.device import add_device_argument, pick_device
from dagan.cli.plugins import add_plugin_argument, load_plugins
from dagan.cli.run_file import settle_options
from dagan.errors import UserError

if TYPE_CHECKING:
    import torch

    from dagan.training.distributed import World
    from dagan.training.loop import LoopConfig
    from dagan.training.step import StepConfig

LEAST = {"accumulate": 1, "log_every": 1, "panel_every": 1, "checkpoint_every": 1, "keep": 1, "max_skipped": 1}


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """What both training commands take. Options without a default here get it in `settle_options`."""
    add = parser.add_argument
    add("clips", type=Path, nargs="*", help="folders of face clips (videos, frame folders or shards)")
    add("-o", "--run", type=Path, help="run folder; an unfinished run there goes on")
    add("--preset", help="model preset, which brings its recipe and discriminator (dagan config list; default: lite)")
    add("--recipe", help="how it is trained (dagan config list; default: the preset's)")
    add("--config", type=Path, metavar="FILE", help="options and settings of a run: its config.json, or a part")
    add(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change a field of the model (generator.width=32), or one that starts with recipe., phases.NAME., "
        "objective.TERM, augmentation. or discriminator. (dagan config show PRESET)",
    )
    add("--plan", action="store_true", help="print the whole run as it would be, as JSON, and end")
    add("--extend", type=int, metavar="STEPS", help="make a finished run in RUN so many steps longer")
    add("--steps", type=int, help="training steps of every phase (default: the recipe's)")
    add("--epochs", type=int, help="length of every phase in epochs, in place of steps")
    add("--learning-rate", type=float, metavar="RATE", help="of every phase at its start (default: the recipe's)")
    add("--batch-size", type=int, help="samples a step, of all processes (default: the recipe's)")
    add("--repeats", type=int, help="visits to each person in an epoch (default: the recipe's)")
    add("--size", type=int, help="side of the training images in pixels; all of a recipe's phases scale with it")
    add("--seed", type=int, help="of all random numbers (default: 0)")
    add_plugin_argument(parser)
    add(
        "--decode",
        choices=("seek", "cache"),
        help="seek: decode frames when they are needed; cache: decode all at the start (default with --cache)",
    )
    add("--cache", type=Path, help="folder for decoded frames and clip indexes (default: RUN/cache)")
    add("--workers", type=int, default=1, help="processes that load samples")
    add("--threads", type=int, help="CPU threads of the training process (default: all cores)")
    add_device_argument(parser)
    add_engine_arguments(parser)


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how steps are made")
    group.add_argument(
        "--precision", choices=("auto", "bf16", "fp32"), help="auto (default): bf16 where the hardware has it"
    )
    group.add_argument("--accumulate", type=int, metavar="N", help="split batches into N parts: less memory")
    group.add_argument(
        "--clip", type=float, metavar="NORM", help="largest norm of the gradients; 0: no limit (default: the recipe's)"
    )
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
        extends=args.extend is not None,
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
    """The run as one plain value: what resume compares, and what --config reads."""
    from dagan.config import to_plain

    facts: dict[str, object] = {
        "preset": args.preset,
        "seed": args.seed,
        "size": args.size,
        "clips": [str(path) for path in args.clips],
        "landmarks": [str(path) for path in args.landmarks] if args.landmarks else None,
        "step": step_facts(args),
    }
    return {**facts, **{name: to_plain(part) for name, part in parts.items()}}


def settle(args: argparse.Namespace, **parts: Any) -> None:
    """Loads plugins, fills in options from --config, and checks them; `parts` as in `settle_options`.

    Raises:
        UserError: options that no run can have.
    """
    load_plugins(args.plugin)
    settle_options(args, parts)
    if args.run is None and not args.plan:
        raise UserError("give a run folder: -o RUN")
    least = {"steps": 1, "epochs": 1, "extend": 1, "batch_size": 1, "workers": 0, "repeats": 1, "threads": 1}
    check_least(args, {**least, "perceptual_side": 0})
    if args.run is not None:
        check_run(args)


def print_plan(plain: Mapping[str, object], lines: Sequence[str]) -> int:
    """--plan: the run as JSON, which --config reads, on stdout; what a person wants to know on stderr."""
    print(json.dumps(plain, indent=2))
    for line in lines:
        print(line, file=sys.stderr)
    return 0


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
