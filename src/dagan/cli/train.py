"""`dagan train`: stage 2, the talking head, on clips."""

import argparse
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from dagan.cli.building import build_networks
from dagan.cli.device import add_device_argument
from dagan.cli.engine import add_engine_arguments, check_least, join, loop_config, say, step_config, step_facts
from dagan.errors import UserError

if TYPE_CHECKING:
    from dagan.data.clips import ClipFrames
    from dagan.data.landmarks import LandmarkTracks
    from dagan.training.distributed import World
    from dagan.training.generation_stage import Phase

SIZE_STEP = 32  # the networks halve an image up to five times


def add_common_arguments(parser: argparse.ArgumentParser, clips: str = "+") -> None:
    """What both training commands take; `clips`: how many folders (an `nargs`)."""
    parser.add_argument("clips", type=Path, nargs=clips, help="folders of face clips (videos, frame folders or shards)")
    parser.add_argument("-o", "--run", type=Path, required=True, help="run folder; an unfinished run there goes on")
    parser.add_argument("--preset", default="lite", help="model preset (dagan config list)")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="override a model setting")
    parser.add_argument(
        "--decode",
        choices=("seek", "cache"),
        help="frames when they are asked for, or all at the start into the cache (default: cache if --cache is given)",
    )
    parser.add_argument("--cache", type=Path, help="folder for decoded frames and clip indexes (default: RUN/cache)")
    parser.add_argument("--size", type=int, default=256, help="side of the decoded frames in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=1, help="visits to each person in an epoch (published: 75)")
    parser.add_argument("--workers", type=int, default=1, help="processes that load samples")
    parser.add_argument("--threads", type=int, help="CPU threads of the training process (default: all cores)")
    parser.add_argument("--batch-size", type=int, help="samples a step, of all processes (default: the recipe's)")
    add_device_argument(parser)
    add_engine_arguments(parser)


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
    parser.add_argument("--landmarks", type=Path, nargs="+", help="folders written by scripts/landmarks.py")
    parser.add_argument("--compile", action="store_true", help="torch.compile: minutes at first, then faster on a GPU")
    parser.add_argument("--validation", type=float, default=0.03, help="share of people held out to follow the run")


def run(args: argparse.Namespace) -> int:
    from dagan.evaluation.metrics.pairwise import psnr
    from dagan.evaluation.metrics.ssim import ssim
    from dagan.models.weights import read_metadata
    from dagan.nn.vgg_files import find_vgg
    from dagan.training.loop import train
    from dagan.training.run_folder import fingerprint
    from dagan.training.schedule import check_split
    from dagan.training.stages import GenerationStage
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


def open_data(
    args: argparse.Namespace, world: "World"
) -> "tuple[list[ClipFrames], list[ClipFrames], LandmarkTracks | None]":
    """Clips to train on, clips of people held out, and the landmarks of the former."""
    from dagan.data.landmarks import LandmarkTracks

    clips, validation = hold_out(open_together(args, world), args.validation)
    return clips, validation, LandmarkTracks(clips, args.landmarks) if args.landmarks else None


def open_together(args: argparse.Namespace, world: "World") -> "list[ClipFrames]":
    """All clips in every process; the first one makes the run folder and decodes."""
    from dagan.training.run_folder import prepare_folder

    if world.is_main:
        prepare_folder(args.run)
    with world.main_first():
        return open_all(args)


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


def check_numbers(args: argparse.Namespace) -> None:
    """Raises UserError for numbers that no run can have."""
    if args.size < SIZE_STEP or args.size % SIZE_STEP:
        raise UserError(f"--size {args.size}: the networks need a multiple of {SIZE_STEP}")
    check_least(args, {"steps": 1, "batch_size": 1, "workers": 0, "repeats": 1, "threads": 1, "perceptual_side": 0})


def open_all(args: argparse.Namespace) -> "list[ClipFrames]":
    """The clips of every folder, as --decode says; shards as they are."""
    from dagan.data.opening import open_clips

    cache, decode = args.cache or args.run / "cache", args.decode or ("cache" if args.cache else "seek")
    return [clip for folder in args.clips for clip in open_clips(folder, cache / folder.name, args.size, decode)]


def hold_out(clips: "list[ClipFrames]", share: float) -> "tuple[list[ClipFrames], list[ClipFrames]]":
    """Clips to train on, and those of about `share` of all people.

    Each person's name alone decides, so that a run on other folders that goes on from this one holds out the same.
    Raises UserError when nobody would be left to train on.
    """
    held = {name for name in {clip.clip.identity for clip in clips} if lot(name) < share}
    kept = [clip for clip in clips if clip.clip.identity not in held]
    if not kept:
        raise UserError(f"--validation {share} holds out everybody in these clips; use a smaller share, or 0")
    return kept, [clip for clip in clips if clip.clip.identity in held]


def lot(name: str) -> float:
    """A number in [0, 1) that belongs to a name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / 2**64


def perceptual_facts(args: argparse.Namespace) -> dict[str, object]:
    return {"network": args.perceptual.name, "max_side": args.perceptual_side}


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
