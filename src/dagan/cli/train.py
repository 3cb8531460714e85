"""`dagan train`: stage 2, the talking head, on clips."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dagan.cli.building import build_networks, plan_generation
from dagan.cli.clips import hold_out, look_at_crops, open_together
from dagan.cli.settings import GenerationPlan, describe
from dagan.cli.training import (
    add_common_arguments,
    join,
    loop_config,
    print_plan,
    run_config,
    say,
    settle,
    step_config,
)
from dagan.errors import UserError

if TYPE_CHECKING:
    from dagan.data.clips import ClipFrames
    from dagan.data.landmarks import LandmarkTracks
    from dagan.models.families import JudgeConfig
    from dagan.training.distributed import World
    from dagan.training.forward import GenerationNetworks
    from dagan.training.generation_stage import GenerationStage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_common_arguments(parser)
    add = parser.add_argument
    add("--phases", help="comma-separated names of the recipe's phases to run (default: all)")
    add("--depth", type=Path, help="depth network: model.safetensors of `dagan train-depth` (default: the package's)")
    add("--from", dest="start", type=Path, help="start from the weights of a model file")
    add("--perceptual", help="network of the perceptual loss: vgg19, vgg16 or a file (default: one in the cache)")
    add("--perceptual-side", type=int, help="largest side of the images that it sees; 0: whole (default: the recipe's)")
    add("--landmarks", type=Path, nargs="+", help="folders written by `dagan landmarks`")
    add("--compile", action="store_true", help="use torch.compile: takes minutes at first, then is faster on a GPU")
    add("--validation", type=float, help="share of people held out to validate on (default: 0.03)")


def run(args: argparse.Namespace) -> int:
    from dagan.data.landmarks import LandmarkTracks
    from dagan.models.families import JudgeConfig, ModelConfig
    from dagan.training.loop import train
    from dagan.training.recipes import Recipe
    from dagan.training.run_folder import fingerprint
    from dagan.training.schedule import check_split

    settle(args, model=ModelConfig, discriminator=JudgeConfig, recipe=Recipe)
    plan = plan_generation(args)
    if args.plan:
        return print_run(args, plan)
    if not args.clips:
        raise UserError("nothing to train on: give folders of clips")
    loop, world = loop_config(args), join(args)
    check_split(plan.recipe.phases, world.size, args.accumulate)
    find_perceptual(args, world)
    judge, networks = build_networks(args, plan)
    clips, validation = hold_out(open_together(args, world), args.validation)
    plan = of_data(args, plan, clips)
    announce(args, plan, clips, validation, world)
    tracks = LandmarkTracks(clips, args.landmarks) if args.landmarks else None
    stage = build_stage(args, plan, networks, clips, validation, tracks, world)
    data = fingerprint(clip.clip.path for clip in [*clips, *validation])
    written = train(stage, loop, plain_run(args, plan, judge), args.run, world, data)
    say(world, f"wrote {written}")
    world.leave()
    return 0


def find_perceptual(args: argparse.Namespace, world: "World") -> None:
    """Says which perceptual network is used, and puts its path in `args`. Raises UserError when there is none."""
    from dagan.nn.vgg_files import find_vgg

    found = find_vgg(args.perceptual)
    args.perceptual = found.path
    say(world, str(found))


def of_data(args: argparse.Namespace, plan: GenerationPlan, clips: "list[ClipFrames]") -> GenerationPlan:
    """The plan with the steps that its epochs take on these clips, and with those of --extend."""
    from dataclasses import replace

    from dagan.data.sampling import SourceDrivingPairs
    from dagan.training.phases import extended, with_steps

    samples = SourceDrivingPairs(clips, 1, args.seed, repeats=plan.recipe.repeats).epoch_length
    phases = extended(with_steps(plan.recipe.phases, samples), args.extend or 0)
    return plan._replace(recipe=replace(plan.recipe, phases=phases))


def announce(
    args: argparse.Namespace,
    plan: GenerationPlan,
    clips: "list[ClipFrames]",
    validation: "list[ClipFrames]",
    world: "World",
) -> None:
    """What the run is and is not, before it begins."""
    steps = sum(phase.steps for phase in plan.recipe.phases)
    say(world, f"{len(clips)} clips to train on, {len(validation)} held out; {steps} steps")
    for line in [*describe(plan.recipe.phases), *notes(args)]:
        say(world, line)
    if not validation:
        say(world, "nobody is held out: panels and numbers are of clips trained on, and no best.safetensors is kept")
    if world.is_main:
        look_at_crops(clips)


def notes(args: argparse.Namespace) -> list[str]:
    """What of the recipe is left out."""
    if args.landmarks or not args.unguided:
        return []
    phases = "".join(f"phase {name}, " for name in args.left_out)
    return [f"left out without --landmarks: {phases}the face's part of the model, and {', '.join(args.unguided)}"]


def build_stage(
    args: argparse.Namespace,
    plan: GenerationPlan,
    networks: "GenerationNetworks",
    clips: "list[ClipFrames]",
    validation: "list[ClipFrames]",
    tracks: "LandmarkTracks | None",
    world: "World",
) -> "GenerationStage":
    from dagan.evaluation.metrics.pairwise import psnr
    from dagan.evaluation.metrics.ssim import ssim
    from dagan.training.generation_stage import GenerationStage

    recipe = plan.recipe
    return GenerationStage(
        networks=networks,
        config=plan.model,
        phases=recipe.phases,
        clips=clips,
        tracks=tracks,
        validation=validation,
        device=world.device,
        seed=args.seed,
        world=world,
        how=step_config(args, world.device, recipe.max_gradient),
        measures={"ssim": ssim, "psnr": psnr},
        compiled=args.compile,
        repeats=recipe.repeats,
        augmentation=recipe.augmentation,
        betas=recipe.betas,
        optimizer=recipe.optimizer,
    )


def plain_run(args: argparse.Namespace, plan: GenerationPlan, judge: "JudgeConfig | None" = None) -> dict[str, object]:
    """The run as one plain value."""
    network = {"perceptual": {"network": args.perceptual.name}} if isinstance(args.perceptual, Path) else {}
    parts = {"model": plan.model, "discriminator": judge or plan.discriminator, "recipe": plan.recipe}
    return run_config(args, validation=args.validation, **parts, **network)


def print_run(args: argparse.Namespace, plan: GenerationPlan) -> int:
    """--plan: nothing is written, and no clip is decoded."""
    from dagan.cli.clips import opened_for_a_look

    lines = []
    if args.clips:
        with opened_for_a_look(args) as opened:
            clips, validation = hold_out(opened, args.validation)
            plan = of_data(args, plan, clips)
            people = len({clip.clip.identity for clip in clips})
            lines.append(f"{len(clips)} clips of {people} people to train on, {len(validation)} clips held out")
    return print_plan(plain_run(args, plan), [*lines, *describe(plan.recipe.phases), *notes(args)])
