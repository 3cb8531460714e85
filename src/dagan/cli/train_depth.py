"""`dagan train-depth`: stage 1, face depth from neighbouring frames of clips (Sec. 3.2)."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dagan.cli.building import preset_config
from dagan.cli.clips import open_together
from dagan.cli.training import (
    add_common_arguments,
    check_numbers,
    check_run,
    join,
    loop_config,
    run_config,
    say,
    step_config,
)
from dagan.errors import UserError

if TYPE_CHECKING:
    from dagan.data.synthetic.store import StoredClip
    from dagan.models.depth import FaceDepthNet
    from dagan.training.depth_stage import DepthPhase
    from dagan.training.distributed import World

SYNTHETIC_FRAMES = 40
TURNED_FRAMES, TURNED = 12, 0.7  # of the heads that only the supervised term sees: seen from the side, too (radians)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_common_arguments(parser, clips="*")
    parser.add_argument("--steps", type=int, help="optimiser steps (default: the recipe's)")
    parser.add_argument("--synthetic", type=int, default=0, metavar="N", help="also train on N procedural heads")
    parser.add_argument(
        "--truth",
        type=float,
        default=0.0,
        metavar="WEIGHT",
        help="supervise with the exact depth of the procedural heads (default: 0, self-supervised as in the paper)",
    )
    parser.add_argument(
        "--order",
        type=float,
        default=0.0,
        metavar="WEIGHT",
        help="supervise with the order in depth of the faces' landmarks (default: 0, self-supervised as in the paper)",
    )
    parser.add_argument("--landmarks", type=Path, nargs="+", help="for --order: folders written by `dagan landmarks`")
    parser.add_argument("--from", dest="start", type=Path, help="start from an F_d of an earlier run")
    parser.add_argument("--learning-rate", type=float, metavar="RATE", help="default: the recipe's")


def run(args: argparse.Namespace) -> int:
    from dataclasses import replace

    import torch

    from dagan.models.weights import load_depth
    from dagan.training.depth_order import find_faces
    from dagan.training.depth_stage import MAX_DEPTH_GRADIENT, DepthNetworks, DepthStage
    from dagan.training.loop import train
    from dagan.training.recipes import depth_recipe
    from dagan.training.run_folder import fingerprint
    from dagan.training.schedule import check_split

    check_numbers(args)
    check_run(args)
    check_sources(args)
    config = preset_config(args).depth
    if config is None:
        raise UserError(f"preset {args.preset} has no depth network; choose one that has, such as lite or dagan")
    phase = pick_phase(args)
    loop, world = loop_config(args), join(args)
    check_split((phase,), world.size, args.accumulate)
    torch.manual_seed(args.seed)
    pose, settings = depth_recipe(phase, config, args.truth, args.order)
    networks = DepthNetworks(config.build(), pose.build())
    if args.start is not None:
        start_from(networks.depth, load_depth(args.start), args.start)
        settings = replace(settings, prior_weight=0.0)  # it knows by now which way round a face is
    clips = open_together(args, world)
    faces = find_faces(clips, args.landmarks) if args.order > 0 else []
    heads = open_heads(args, world)
    clips += [head.clip for head in heads]
    stage = DepthStage(
        networks=networks,
        config=config,
        settings=settings,
        phases=(phase,),
        clips=clips,
        device=world.device,
        seed=args.seed,
        world=world,
        how=step_config(args, world.device, MAX_DEPTH_GRADIENT),
        repeats=args.repeats,
        truth=heads + open_heads(args, world, TURNED_FRAMES, TURNED) if args.truth > 0 else (),
        faces=faces,
    )
    say(world, f"{len(clips)} clips to train on; {phase.steps} steps")
    plain = run_config(args, model=config, pose=pose, stage=settings, phases=(phase,), synthetic=args.synthetic)
    data = fingerprint(clip.clip.path for clip in clips)
    say(world, f"wrote {train(stage, loop, plain, args.run, world, data)}")
    world.leave()
    return 0


def pick_phase(args: argparse.Namespace) -> "DepthPhase":
    """The recipe's phase with what was asked for instead."""
    from dataclasses import replace

    from dagan.training.recipes import DEPTH_RECIPE

    if args.learning_rate is not None and not args.learning_rate > 0:
        raise UserError(f"--learning-rate is {args.learning_rate:g}; it must be above 0")
    changes = {"steps": args.steps, "batch_size": args.batch_size, "learning_rate": args.learning_rate}
    return replace(DEPTH_RECIPE, **{name: value for name, value in changes.items() if value is not None})


def check_sources(args: argparse.Namespace) -> None:
    """Raises UserError when there is nothing to train on, or nothing to supervise with."""
    if min(args.synthetic, args.truth, args.order) < 0:
        raise UserError("--synthetic, --truth and --order must be 0 or more")
    if not args.clips and not args.synthetic:
        raise UserError("nothing to train on: give folders of clips, or --synthetic N for procedural heads")
    if args.truth > 0 and not args.synthetic:
        raise UserError("--truth needs procedural heads, of which the depth is known: give --synthetic N too")
    if args.order > 0 and not (args.clips and args.landmarks):
        raise UserError("--order needs clips and their landmarks: give --landmarks DIR, from `dagan landmarks`")


def open_heads(
    args: argparse.Namespace, world: "World", num_frames: int | None = None, turned: float | None = None
) -> "list[StoredClip]":
    """The procedural heads 0, 1, 2, ... in every process; the first one renders."""
    from dagan.data.synthetic.path import USUAL_TURN
    from dagan.data.synthetic.store import synthetic_clips

    folder = (args.cache or args.run / "cache") / "synthetic"
    with world.main_first():
        return synthetic_clips(
            range(args.synthetic), folder, num_frames or SYNTHETIC_FRAMES, args.size, turned or USUAL_TURN
        )


def start_from(depth: "FaceDepthNet", start: "FaceDepthNet", path: Path) -> None:
    try:
        depth.load_state_dict(start.state_dict())
    except RuntimeError as error:
        raise UserError(f"the depth network in {path} has another shape than the preset's") from error
