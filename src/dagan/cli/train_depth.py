"""`dagan train-depth`: stage 1, face depth from neighbouring frames of clips (Sec. 3.2)."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dagan.cli.clips import look_at_crops, open_together, opened_for_a_look
from dagan.cli.settings import (
    changed_depth_recipe,
    describe,
    parse_settings,
    picked,
    preset_model,
    timed,
    training_of,
)
from dagan.cli.sizes import check_size
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
    from dagan.data.synthetic.store import StoredClip
    from dagan.models.depth import FaceDepthConfig, FaceDepthNet
    from dagan.training.depth_order import FoundFaces
    from dagan.training.depth_recipes import DepthRecipe
    from dagan.training.depth_settings import DepthStageConfig
    from dagan.training.depth_stage import DepthNetworks, DepthStage
    from dagan.training.distributed import World

SYNTHETIC_FRAMES = 40
TURNED_FRAMES, TURNED = 12, 0.7  # of the heads that only the supervised term sees: seen from the side, too (radians)


class DepthPlan(NamedTuple):
    """A run of stage 1 as it would be."""

    depth: "FaceDepthConfig"
    recipe: "DepthRecipe"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_common_arguments(parser)
    add = parser.add_argument
    add("--synthetic", type=int, metavar="N", help="also train on N procedural heads")
    add(
        "--truth",
        type=float,
        metavar="WEIGHT",
        help="supervise with the exact depth of the procedural heads (default: 0, self-supervised as in the paper)",
    )
    add(
        "--order",
        type=float,
        metavar="WEIGHT",
        help="supervise with the order in depth of the faces' landmarks (default: 0, self-supervised as in the paper)",
    )
    add("--landmarks", type=Path, nargs="+", help="for --order: folders written by `dagan landmarks`")
    add("--from", dest="start", type=Path, help="start from an F_d of an earlier run")


def run(args: argparse.Namespace) -> int:
    import torch

    from dagan.models.depth import FaceDepthConfig
    from dagan.models.weights import load_depth
    from dagan.training.depth_order import find_faces
    from dagan.training.depth_recipes import DepthRecipe
    from dagan.training.depth_stage import DepthNetworks
    from dagan.training.loop import train
    from dagan.training.run_folder import fingerprint
    from dagan.training.schedule import check_split

    settle(args, depth=FaceDepthConfig, recipe=DepthRecipe)
    plan = plan_depth(args)
    if args.plan:
        return print_run(args, plan)
    check_sources(args, plan.recipe)
    loop, world = loop_config(args), join(args)
    check_split((plan.recipe.phase,), world.size, args.accumulate)
    torch.manual_seed(args.seed)
    networks = DepthNetworks(plan.depth.build(), plan.recipe.pose.build())
    if args.start is not None:
        start_from(networks.depth, load_depth(args.start), args.start)
    clips, heads = open_together(args, world), open_heads(args, world)
    if world.is_main and clips:
        look_at_crops(clips)
    faces = find_faces(clips, args.landmarks) if plan.recipe.stage.order_weight > 0 else []
    clips += [head.clip for head in heads]
    plan = of_data(args, plan, clips)
    stage = build_stage(args, plan, networks, clips, faces, heads, world)
    say(world, f"{len(clips)} clips to train on; {plan.recipe.phase.steps} steps")
    say(world, *describe((plan.recipe.phase,)))
    data = fingerprint(clip.clip.path for clip in clips)
    say(world, f"wrote {train(stage, loop, plain_run(args, plan), args.run, world, data)}")
    world.leave()
    return 0


def build_stage(
    args: argparse.Namespace,
    plan: DepthPlan,
    networks: "DepthNetworks",
    clips: "list[ClipFrames]",
    faces: "list[FoundFaces]",
    heads: "list[StoredClip]",
    world: "World",
) -> "DepthStage":
    from dagan.training.depth_stage import DepthStage

    recipe = plan.recipe
    return DepthStage(
        networks=networks,
        config=plan.depth,
        settings=recipe.stage,
        phases=(recipe.phase,),
        clips=clips,
        device=world.device,
        seed=args.seed,
        world=world,
        how=step_config(args, world.device, recipe.max_gradient),
        repeats=recipe.repeats,
        augmentation=recipe.augmentation,
        optimizer=recipe.optimizer,
        truth=heads + open_heads(args, world, TURNED_FRAMES, TURNED) if recipe.stage.truth_weight > 0 else (),
        faces=faces,
    )


def plan_depth(args: argparse.Namespace) -> DepthPlan:
    """F_d and the recipe, without the data; sets `args.preset` and `args.size`. Raises UserError."""
    from dataclasses import replace

    from dagan.models.families import depth_of
    from dagan.training.depth_recipes import DEPTH_RECIPES, fitted
    from dagan.training.phases import at_size

    settings = parse_settings(args.set)
    args.preset = args.preset or "lite"
    depth = args.given.get("depth") or depth_of(preset_model(args, settings, args.preset))
    if depth is None:
        raise UserError(f"preset {args.preset} has no depth network; choose one that has, such as lite or dagan")
    named = args.recipe or training_of(args.preset).depth_recipe
    given = args.given.get("recipe") if args.recipe is None else None
    recipe = changed_depth_recipe(given or picked(DEPTH_RECIPES, named, "recipe"), settings)
    args.size = args.size or recipe.size
    check_size(args.size)
    (phase,) = at_size(timed((recipe.phase,), args), args.size, recipe.size)
    options = {"repeats": args.repeats, "max_gradient": args.clip}
    changes = {name: value for name, value in options.items() if value is not None}
    recipe = replace(recipe, phase=phase, size=args.size, stage=changed_stage(args, recipe.stage), **changes)
    return DepthPlan(depth, recipe if given else fitted(recipe, depth))


def changed_stage(args: argparse.Namespace, stage: "DepthStageConfig") -> "DepthStageConfig":
    """With the weights of --truth and --order; an F_d of --from knows by now which way round a face is."""
    from dataclasses import replace

    return replace(
        stage,
        truth_weight=stage.truth_weight if args.truth is None else args.truth,
        order_weight=stage.order_weight if args.order is None else args.order,
        prior_weight=0.0 if args.start is not None else stage.prior_weight,
    )


def of_data(args: argparse.Namespace, plan: DepthPlan, clips: "list[ClipFrames]") -> DepthPlan:
    """The plan with the steps that its epochs take on these clips, and with those of --extend."""
    from dataclasses import replace

    from dagan.data.sampling import ConsecutiveFrames
    from dagan.training.phases import extended, with_steps

    recipe = plan.recipe
    samples = ConsecutiveFrames(clips, 1, args.seed, recipe.phase.gaps, repeats=recipe.repeats).epoch_length
    (phase,) = extended(with_steps((recipe.phase,), samples), args.extend or 0)
    return plan._replace(recipe=replace(recipe, phase=phase))


def plain_run(args: argparse.Namespace, plan: DepthPlan) -> dict[str, object]:
    """The run as one plain value."""
    return run_config(args, synthetic=args.synthetic, depth=plan.depth, recipe=plan.recipe)


def print_run(args: argparse.Namespace, plan: DepthPlan) -> int:
    """--plan: nothing is written, and no clip is decoded."""
    lines = []
    if args.clips and not args.synthetic:
        with opened_for_a_look(args) as clips:
            plan = of_data(args, plan, clips)
            lines.append(f"{len(clips)} clips of {len({clip.clip.identity for clip in clips})} people to train on")
    return print_plan(plain_run(args, plan), [*lines, *describe((plan.recipe.phase,))])


def check_sources(args: argparse.Namespace, recipe: "DepthRecipe") -> None:
    """Raises UserError when there is nothing to train on, or nothing to supervise with."""
    truth, order = recipe.stage.truth_weight, recipe.stage.order_weight
    if min(args.synthetic, truth, order) < 0:
        raise UserError("--synthetic, --truth and --order must be 0 or more")
    if not args.clips and not args.synthetic:
        raise UserError("nothing to train on: give folders of clips, or --synthetic N for procedural heads")
    if truth > 0 and not args.synthetic:
        raise UserError("--truth needs procedural heads, of which the depth is known: give --synthetic N too")
    if order > 0 and not (args.clips and args.landmarks):
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
