"""`--workers` and `--ray`: where the parts of a long job are done."""

import argparse
from typing import TYPE_CHECKING

from dagan.errors import UserError

if TYPE_CHECKING:
    from dagan.workers import Workers


def add_worker_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("workers")
    which = group.add_mutually_exclusive_group()
    which.add_argument("--workers", metavar="N", type=int, default=1, help="number of processes (default: 1)")
    which.add_argument(
        "--ray",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="use a Ray cluster: the one at ADDRESS (auto: the one this machine belongs to), or start one here",
    )
    group.add_argument("--ray-workers", type=int, metavar="N", help="with --ray: workers at most (default: all room)")
    group.add_argument("--ray-cpus", type=float, default=1.0, metavar="N", help="with --ray: processors a worker (1)")
    group.add_argument("--ray-gpus", type=float, default=0.0, metavar="N", help="with --ray: GPUs a worker (0)")


def pick_workers(args: argparse.Namespace) -> "Workers | None":
    """Where to work; None: in this process. Raises UserError for counts that make no sense."""
    if args.workers < 1 or (args.ray_workers or 1) < 1 or args.ray_cpus < 0 or args.ray_gpus < 0:
        raise UserError("--workers and --ray-workers are 1 or more, --ray-cpus and --ray-gpus are 0 or more")
    from dagan.workers import Processes, RayCluster

    if args.ray is not None:
        return RayCluster(args.ray, args.ray_workers, args.ray_cpus, args.ray_gpus)
    return Processes(args.workers) if args.workers > 1 else None
