"""What a training run consists of: the preset's parts, or those of --config, changed by --set and by single options."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from dagan.errors import UserError

if TYPE_CHECKING:
    from dagan.models.families import JudgeConfig, ModelConfig
    from dagan.presets import Training
    from dagan.training.depth_recipes import DepthRecipe
    from dagan.training.phases import DepthPhase, Phase
    from dagan.training.recipes import Recipe

T = TypeVar("T")
NOT_OF_THE_MODEL = ("recipe", "phases", "objective", "augmentation", "discriminator", "stage", "pose")


class GenerationPlan(NamedTuple):
    """A run of stage 2 as it would be."""

    model: "ModelConfig"
    discriminator: "JudgeConfig"
    recipe: "Recipe"


class Setting(NamedTuple):
    """`--set FIELD=VALUE`, apart: `part` is the model or one of `NOT_OF_THE_MODEL`, `path` is inside of it."""

    part: str
    path: str
    value: str
    text: str


def parse_settings(texts: Sequence[str]) -> list[Setting]:
    """Raises UserError for one that is not FIELD=VALUE."""
    settings = []
    for text in texts:
        field, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--set takes FIELD=VALUE, for example generator.width=32; given: {text}")
        head, _, rest = field.partition(".")
        if head in NOT_OF_THE_MODEL or (head == "model" and rest):
            settings.append(Setting(head, rest, value, text))
        else:
            settings.append(Setting("model", field, value, text))
    return settings


def changed_model(model: "ModelConfig", settings: Sequence[Setting]) -> "ModelConfig":
    """The model with those of the settings that are about it."""
    from dagan.config import override

    for setting in settings:
        if setting.part == "model":
            model = override(model, setting.path, setting.value)
    return model


def changed_plan(plan: GenerationPlan, settings: Sequence[Setting]) -> GenerationPlan:
    """Discriminator and recipe with their settings. Raises UserError for names and values that do not fit."""
    from dagan.config import override

    for setting in settings:
        part, path, value = setting.part, setting.path, setting.value
        if part == "discriminator":
            plan = plan._replace(discriminator=override(plan.discriminator, path, value))
        elif part == "phases":
            phases = changed_phases(plan.recipe.phases, path, value)
            plan = plan._replace(recipe=replace(plan.recipe, phases=phases))
        elif part == "objective":
            phases = weighed(plan.recipe.phases, path, value)
            plan = plan._replace(recipe=replace(plan.recipe, phases=phases))
        elif part != "model":
            plan = plan._replace(recipe=override(plan.recipe, inside(part, path), value))
    return plan


def changed_depth_recipe(recipe: "DepthRecipe", settings: Sequence[Setting]) -> "DepthRecipe":
    """The recipe of stage 1 with its settings."""
    from dagan.config import override

    for setting in settings:
        if setting.part == "phases":
            (phase,) = changed_phases((recipe.phase,), setting.path, setting.value)
            recipe = replace(recipe, phase=phase)
        elif setting.part in ("objective", "discriminator"):
            raise UserError(f"--set {setting.text}: stage 1 has no {setting.part}; its weights are stage.NAME_weight")
        elif setting.part != "model":
            recipe = override(recipe, inside(setting.part, setting.path), setting.value)
    return recipe


def inside(part: str, path: str) -> str:
    """The path in a recipe: of `recipe.repeats`, `repeats`; of `augmentation.flip`, itself."""
    return path if part == "recipe" else f"{part}.{path}".rstrip(".")


def changed_phases(phases: "Sequence[Any]", path: str, value: str) -> tuple[Any, ...]:
    """The phases with one field of one of them: `full_size.learning_rate`, `full_size.objective.perceptual`."""
    from dagan.config import override

    name, _, field = path.partition(".")
    known = [phase.name for phase in phases]
    if name not in known or not field:
        raise UserError(f"--set phases.{path}: write phases.NAME.FIELD; the recipe's phases are: {', '.join(known)}")
    if field.startswith("objective."):
        change: Callable[[Any], Any] = lambda phase: weighed((phase,), field.partition(".")[2], value)[0]  # noqa: E731
    else:
        change = lambda phase: override(phase, field, value)  # noqa: E731
    return tuple(change(phase) if phase.name == name else phase for phase in phases)


def weighed(phases: "Sequence[Phase]", term: str, text: str) -> "tuple[Phase, ...]":
    """The phases with another weight of a term: in those that have it, or in all when none has; 0 takes it out."""
    from dagan.losses.objective import TERMS

    if term not in TERMS:
        raise UserError(f"unknown loss term {term!r}; known: {', '.join(TERMS)}")
    try:
        weight = float(text)
    except ValueError as error:
        raise UserError(f"--set objective.{term} is {text!r}; expected a weight, such as 10") from error
    having = [phase.name for phase in phases if term in dict(phase.objective)] or [phase.name for phase in phases]
    return tuple(_weighed(phase, term, weight) if phase.name in having else phase for phase in phases)


def _weighed(phase: "Phase", term: str, weight: float) -> "Phase":
    objective = {**dict(phase.objective), term: weight}
    return replace(phase, objective=tuple((name, value) for name, value in objective.items() if value != 0))


def preset_model(args: argparse.Namespace, settings: Sequence[Setting], name: str) -> "ModelConfig":
    """The preset with its overrides. Raises UserError for names, values and combinations that cannot be."""
    from dagan.presets import PRESETS

    if name not in PRESETS:
        raise UserError(f"unknown preset {name!r}; known: {', '.join(PRESETS)}")
    return buildable(changed_model(args.given.get("model") or PRESETS[name], settings))


def buildable(config: "ModelConfig") -> "ModelConfig":
    """The config, when a model can be built with it. Raises UserError otherwise."""
    import torch

    try:
        with torch.device("meta"):
            config.build()
    except (ValueError, RuntimeError, ArithmeticError, LookupError) as error:  # a width below zero, no such ResNet, ...
        raise UserError(f"no model can be built with these settings: {str(error).splitlines()[0]}") from error
    return config


def training_of(name: str) -> "Training":
    """What a preset brings; those of a plugin need not say."""
    from dagan.presets import TRAINING, Training

    return TRAINING.get(name, Training(""))


def picked(table: dict[str, T], name: str, what: str) -> T:
    """The entry of that name. Raises UserError naming those there are."""
    if name not in table:
        raise UserError(f"unknown {what} {name!r}; known: {', '.join(table)}")
    return table[name]


def timed(phases: "Sequence[Any]", args: argparse.Namespace) -> tuple[Any, ...]:
    """The phases with --steps, --epochs, --batch-size and --learning-rate. Raises UserError for what cannot be."""
    if args.steps is not None and args.epochs is not None:
        raise UserError("give --steps or --epochs, not both")
    if args.learning_rate is not None and not args.learning_rate > 0:
        raise UserError(f"--learning-rate is {args.learning_rate:g}; it must be above 0")
    changes = {"steps": args.steps, "batch_size": args.batch_size, "learning_rate": args.learning_rate}
    given = {name: value for name, value in changes.items() if value is not None}
    if args.epochs is not None:
        given |= {"epochs": args.epochs, "steps": 0}
    return tuple(replace(phase, **given) for phase in phases)


def describe(phases: "Sequence[Phase | DepthPhase]") -> list[str]:
    """A line for each phase: its length, batch, size and rate."""
    lines = []
    for phase in phases:
        length = f"{phase.steps} steps" if phase.steps else f"{phase.epochs} epochs"
        lines.append(
            f"phase {phase.name}: {length} of {phase.batch_size} at {phase.image_size} px, rate {phase.learning_rate:g}"
        )
    return lines
