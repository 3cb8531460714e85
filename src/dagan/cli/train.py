"""`dagan train`: stage 2, the talking head, on clips."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dagan.cli.building import build_networks
from dagan.cli.clips import open_data
from dagan.cli.training import add_common_arguments, check_numbers, join, loop_config, run_config, say, step_config
from dagan.errors import UserError

if TYPE_CHECKING:
    from dagan.training.generation_stage import Phase


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_common_arguments(parser)
    parser.add_argument(
        "--recipe", help="phases and losses: lite, paper or released (default: released for imported models, else lite)"
    )
    parser.add_argument("--phases", help="comma-separated names of the recipe's phases to run (default: all)")
    parser.add_argument("--steps", type=int, help="steps of every phase, instead of the recipe's")
    parser.add_argument("--learning-rate", type=float, help="of every phase at its start, instead of the recipe's")
    parser.add_argument("--depth", type=Path, help="F_d from `dagan train-depth` (its model.safetensors)")
    parser.add_argument("--from", dest="start", type=Path, help="start from the weights of a model file")
    parser.add_argument(
        "--perceptual", help="for L_P: a file of VGG-16 or VGG-19, or vgg19, vgg16 (default: the cache's)"
    )
    parser.add_argument("--perceptual-side", type=int, default=128, help="largest side that VGG sees; 0: whole images")
    parser.add_argument("--landmarks", type=Path, nargs="+", help="folders written by `dagan landmarks`")
    parser.add_argument("--compile", action="store_true", help="torch.compile: minutes at first, then faster on a GPU")
    parser.add_argument("--validation", type=float, default=0.03, help="share of people held out to follow the run")


def run(args: argparse.Namespace) -> int:
    from dagan.evaluation.metrics.psnr import psnr
    from dagan.evaluation.metrics.ssim import ssim
    from dagan.models.weights import read_metadata
    from dagan.nn.vgg_files import find_vgg
    from dagan.training.generation_stage import GenerationStage
    from dagan.training.loop import train
    from dagan.training.run_folder import fingerprint
    from dagan.training.schedule import check_split
    from dagan.training.step import MAX_GRADIENT

    check_numbers(args)
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
