"""The networks that a training of stage 2 starts with."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dagan.cli.settings import (
    GenerationPlan,
    Setting,
    buildable,
    changed_model,
    changed_plan,
    parse_settings,
    picked,
    preset_model,
    timed,
    training_of,
)
from dagan.errors import UserError

if TYPE_CHECKING:
    from dagan.models.depth import FaceDepthConfig, FaceDepthNet
    from dagan.models.families import JudgeConfig, ModelConfig
    from dagan.models.family import Family
    from dagan.training.forward import GenerationNetworks
    from dagan.training.phases import Phase
    from dagan.training.recipes import Recipe

SMALLEST_JUDGED = 64  # the discriminator's least side of an image


def plan_generation(args: argparse.Namespace) -> GenerationPlan:
    """What is to be trained, and how: model, discriminator and recipe, without the data.

    Sets `args.preset`, `args.recipe` and `args.size` to what they turned out to be. Raises UserError for parts that do
    not fit each other.
    """
    from dagan.training.recipes import RECIPES

    settings = parse_settings(args.set)
    model = plan_model(args, settings)
    brings = training_of(args.preset or "")
    if args.recipe is None and args.preset is None and "recipe" not in args.given:
        raise UserError(f"{args.start} is no known preset; give --recipe, one of {', '.join(RECIPES)}")
    given = args.given.get("recipe") if args.recipe is None else None
    args.recipe = args.recipe or brings.recipe
    recipe = given or picked(RECIPES, args.recipe, "recipe")
    plan = GenerationPlan(model, args.given.get("discriminator", brings.discriminator), recipe)
    plan = changed_plan(plan, settings)
    plan = plan._replace(recipe=fitting_recipe(args, plan.recipe))
    check_fit(plan.model, plan.recipe.phases)
    return plan


def plan_model(args: argparse.Namespace, settings: list[Setting]) -> "ModelConfig":
    """That of --from, which the preset and settings given must fit, else the preset's."""
    from dagan.presets import without_face

    if args.start is None:
        args.preset = args.preset or "lite"
        fresh = preset_model(args, settings, args.preset)
        return fresh if args.landmarks else without_face(fresh)
    from dagan.models.families import FAMILIES
    from dagan.models.weights import load_config, read_metadata

    model: ModelConfig = load_config(args.start)
    if args.preset is not None:
        check_same(preset_model(args, settings, args.preset), model, f"--from {args.start} does not fit --preset")
    else:
        check_same(buildable(changed_model(model, settings)), model, "--set cannot change the model of --from")
        args.preset = name_of(model)
    if "published" in read_metadata(args.start) and type(model) not in FAMILIES:
        args.recipe = args.recipe or "released_tuning"
    return model


def check_same(wanted: "ModelConfig", model: "ModelConfig", problem: str) -> None:
    """Raises UserError with the fields in which the model of --from is another; its face may be left out."""
    from dagan.config import differences, to_plain
    from dagan.presets import without_face

    if model not in (wanted, without_face(wanted)):
        fields = differences(to_plain(model), to_plain(wanted))
        raise UserError(f"{problem} (its value != yours): {'; '.join(fields[:5])}")


def name_of(model: "ModelConfig") -> str | None:
    """The preset with this model, with its face or without."""
    from dagan.presets import PRESETS, without_face

    return next((name for name, config in PRESETS.items() if model in (config, without_face(config))), None)


def fitting_recipe(args: argparse.Namespace, recipe: "Recipe") -> "Recipe":
    """The recipe with the options of the command, at its image size, for data with landmarks or without."""
    from dataclasses import replace

    from dagan.cli.sizes import check_size
    from dagan.training.phases import at_size
    from dagan.training.recipes import without_landmarks

    args.size = args.size or recipe.size
    check_size(args.size)
    phases = {phase.name: phase for phase in recipe.phases}
    wanted = args.phases.split(",") if args.phases else list(phases)
    unknown = [name for name in wanted if name not in phases]
    if unknown:
        raise UserError(f"recipe {args.recipe} has no phase {unknown[0]!r}; it has: {', '.join(phases)}")
    chosen = timed([phases[name] for name in wanted], args)
    chosen = at_size(chosen, args.size, recipe.size)
    if not args.landmarks:
        chosen, args.left_out, args.unguided = without_landmarks(chosen)
        if not chosen:
            raise UserError(f"phase {args.left_out[0]} needs landmarks: give --landmarks DIR, from `dagan landmarks`")
    options = {"repeats": args.repeats, "perceptual_side": args.perceptual_side, "max_gradient": args.clip}
    given = {name: value for name, value in options.items() if value is not None}
    return replace(recipe, phases=chosen, size=args.size, **given)


def check_fit(config: "ModelConfig", phases: "tuple[Phase, ...]") -> None:
    """Raises UserError when the phases have a loss that the model's keypoints or the images' size cannot have."""
    from dagan.face import NUM_LANDMARKS
    from dagan.losses.objective import Objective, needing_jacobians, needing_landmarks, of_others
    from dagan.models.talking_head import TalkingHeadConfig

    for phase in phases:
        terms = [name for name, _ in phase.objective]
        strange = of_others(config, terms)
        if strange:
            raise UserError(f"the recipe's {strange[0]} is not for a {type(config).__name__}; leave --recipe out")
        if not isinstance(config, TalkingHeadConfig):
            continue
        of_jacobians = needing_jacobians(terms)
        if of_jacobians and not config.keypoints.has_jacobian:
            raise UserError(f"the recipe's {of_jacobians[0]} needs keypoints with jacobians; try --recipe paper")
        count = config.keypoints.num_keypoints
        if needing_landmarks(terms) and count < NUM_LANDMARKS:
            raise UserError(
                f"the model has {count} keypoints, fewer than {NUM_LANDMARKS} landmarks; leave --landmarks out"
            )
        if Objective(phase.objective).is_adversarial and phase.image_size < SMALLEST_JUDGED:
            raise UserError(
                f"phase {phase.name} is at {phase.image_size} px, where the discriminator sees nothing; "
                f"it needs {SMALLEST_JUDGED} or more: give a larger --size"
            )


def build_networks(args: argparse.Namespace, plan: GenerationPlan) -> "tuple[JudgeConfig, GenerationNetworks]":
    """Everything that stage 2 needs, the same in every process; a discriminator that came with --from goes on."""
    import torch

    from dagan.losses.perceptual import PerceptualLoss
    from dagan.models.weights import load_discriminator
    from dagan.nn.blocks import AntiAliasDown, ReleasedDown
    from dagan.nn.vgg import load_vgg
    from dagan.training.forward import GenerationNetworks

    torch.manual_seed(args.seed)
    model = build_model(args, plan.model)
    found = load_discriminator(args.start) if args.start else None
    judge, discriminator = found or (plan.discriminator, plan.discriminator.build())
    down = {"ours": AntiAliasDown, "released": ReleasedDown}[plan.recipe.pyramid]
    side = plan.recipe.perceptual_side or None
    perceptual = PerceptualLoss(load_vgg(args.perceptual), max_side=side, down=down)
    return judge, GenerationNetworks(model, discriminator, perceptual)


def build_model(args: argparse.Namespace, config: "ModelConfig") -> "Family":
    """The model at its start: from --from, else new; F_d from --depth, else the package's where it has that shape."""
    from dagan.models.weights import fill_face_reader, load

    model = load(args.start) if args.start else fill_face_reader(config.build())
    if args.depth is None and (args.start is not None or model.depth is None):
        return model
    if model.depth is None:
        raise UserError(f"preset {args.preset} has no depth network; leave --depth out")
    depth = find_depth(args.depth, model.depth.config, args.preset)
    try:
        model.depth.load_state_dict(depth.state_dict())
    except RuntimeError as error:
        raise UserError(f"the depth network in {args.depth} has another shape than the preset's") from error
    return model


def find_depth(path: Path | None, config: "FaceDepthConfig", preset: str) -> "FaceDepthNet":
    """The one of --depth, else the package's. Raises UserError when that is of another shape."""
    from dagan.depth.estimate import load_face_depth
    from dagan.models.weights import load_depth

    if path is not None:
        return load_depth(path)
    check_bundled_depth(config, preset)
    return load_face_depth()


def check_bundled_depth(config: "FaceDepthConfig", preset: str) -> None:
    """Raises UserError when the package's depth network has not the preset's shape."""
    from dagan.models.weights import load_config

    if load_config().depth != config:
        raise UserError(
            f"preset {preset} needs a depth network of its own: "
            f"`dagan train-depth CLIPS -o RUN --preset {preset}`, then give --depth RUN/model.safetensors"
        )
