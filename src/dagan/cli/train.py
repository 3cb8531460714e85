"""`dagan train`: stage 2, the talking head, on clips."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dagan.cli.building import build_networks
from dagan.cli.clips import open_data
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
    from dagan.training.generation_stage import Phase


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_common_arguments(parser)
    add = parser.add_argument
    add("--recipe", help="phases and losses: lite, paper, released, table_4 (default: lite; imported models: released)")
    add("--phases", help="comma-separated names of the recipe's phases to run (default: all)")
    add("--steps", type=int, help="training steps of every phase (default: the recipe's)")
    add("--learning-rate", type=float, help="learning rate of every phase at its start (default: the recipe's)")
    add("--depth", type=Path, help="depth network: model.safetensors of `dagan train-depth`")
    add("--from", dest="start", type=Path, help="start from the weights of a model file")
    add("--perceptual", help="network of the perceptual loss: vgg19, vgg16 or a file (default: one in the cache)")
    add(
        "--perceptual-side",
        type=int,
        default=128,
        help="largest side of the images that it sees; 0: whole (default: 128)",
    )
    add("--landmarks", type=Path, nargs="+", help="folders written by `dagan landmarks`")
    add("--compile", action="store_true", help="use torch.compile: takes minutes at first, then is faster on a GPU")
    add("--validation", type=float, default=0.03, help="share of people held out to validate on (default: 0.03)")


def run(args: argparse.Namespace) -> int:
    from dagan.evaluation.metrics.pairwise import psnr
    from dagan.evaluation.metrics.ssim import ssim
    from dagan.models.weights import read_metadata
    from dagan.nn.vgg_files import find_vgg
    from dagan.training.generation_stage import GenerationStage
    from dagan.training.loop import train
    from dagan.training.run_folder import fingerprint
    from dagan.training.schedule import check_split
    from dagan.training.step import MAX_GRADIENT

    check_numbers(args)
    check_run(args)
    published = args.start is not None and "published" in read_metadata(args.start)
    args.recipe = args.recipe or ("released" if published else "lite")
    phases, loop = pick_phases(args), loop_config(args)
    world = join(args)
    check_split(phases, world.size, args.accumulate)
    found = find_vgg(args.perceptual)
    args.perceptual = found.path
    say(world, str(found))
    config, judge, networks = build_networks(args, phases, published)
    clips, validation, tracks = open_data(args, world)
    stage = GenerationStage(
        networks=networks,
        config=config,
        phases=phases,
        clips=clips,
        tracks=tracks,
        validation=validation,
        device=world.device,
        seed=args.seed,
        world=world,
        how=step_config(args, world.device, MAX_GRADIENT),
        measures={"ssim": ssim, "psnr": psnr},
        compiled=args.compile,
        repeats=args.repeats,
    )
    steps = sum(phase.steps for phase in phases)
    say(world, f"{len(clips)} clips to train on, {len(validation)} held out; {steps} steps")
    plain = run_config(
        args,
        model=config,
        phases=phases,
        discriminator=judge,
        perceptual=perceptual_facts(args),
        held_out=args.validation,
    )
    data = fingerprint(clip.clip.path for clip in [*clips, *validation])
    say(world, f"wrote {train(stage, loop, plain, args.run, world, data)}")
    world.leave()
    return 0


def pick_phases(args: argparse.Namespace) -> "tuple[Phase, ...]":
    """The recipe's phases that were asked for. Raises UserError for unknown names or missing landmarks."""
    from dataclasses import replace

    from dagan.training.recipes import RECIPES, without_landmarks

    if args.recipe not in RECIPES:
        raise UserError(f"unknown recipe {args.recipe!r}; known: {', '.join(RECIPES)}")
    phases = {phase.name: phase for phase in RECIPES[args.recipe]}
    wanted = args.phases.split(",") if args.phases else list(phases)
    unknown = [name for name in wanted if name not in phases]
    if unknown:
        raise UserError(f"recipe {args.recipe} has no phase {unknown[0]!r}; it has: {', '.join(phases)}")
    chosen = tuple(phases[name] for name in wanted)
    if args.learning_rate is not None and not args.learning_rate > 0:
        raise UserError(f"--learning-rate is {args.learning_rate:g}; it must be above 0")
    changes = {"steps": args.steps, "batch_size": args.batch_size, "learning_rate": args.learning_rate}
    given = {name: value for name, value in changes.items() if value is not None}
    chosen = tuple(replace(phase, **given) for phase in chosen)
    return chosen if args.landmarks else without_landmarks(chosen)


def perceptual_facts(args: argparse.Namespace) -> dict[str, object]:
    return {"network": args.perceptual.name, "max_side": args.perceptual_side}
