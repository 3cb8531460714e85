"""The networks that a training command starts with."""

import argparse
from typing import TYPE_CHECKING

from dagan.errors import UserError

if TYPE_CHECKING:
    from torch import nn

    from dagan.models.families import JudgeConfig, ModelConfig
    from dagan.models.family import Family
    from dagan.training.forward import GenerationNetworks
    from dagan.training.generation_stage import Phase


def build_networks(
    args: argparse.Namespace, phases: "tuple[Phase, ...]", published: bool
) -> "tuple[ModelConfig, JudgeConfig, GenerationNetworks]":
    """Everything that stage 2 needs, the same in every process."""
    import torch

    from dagan.losses.perceptual import PerceptualLoss
    from dagan.nn.blocks import AntiAliasDown, ReleasedDown
    from dagan.nn.vgg import load_vgg
    from dagan.training.forward import GenerationNetworks

    torch.manual_seed(args.seed)
    config, model = build_model(args)
    check_fit(config, phases)
    judge, discriminator = build_discriminator(args)
    down = ReleasedDown if published else AntiAliasDown
    perceptual = PerceptualLoss(load_vgg(args.perceptual), max_side=args.perceptual_side or None, down=down)
    return config, judge, GenerationNetworks(model, discriminator, perceptual)


def check_fit(config: "ModelConfig", phases: "tuple[Phase, ...]") -> None:
    """Raises UserError when the phases have a loss that the model's keypoints cannot have."""
    from dagan.face import NUM_LANDMARKS
    from dagan.losses.objective import NEED_JACOBIANS, NEED_LANDMARKS

    terms = {name for phase in phases for name, _ in phase.objective}
    of_jacobians = sorted(terms & NEED_JACOBIANS)
    if of_jacobians and not config.keypoints.has_jacobian:
        raise UserError(f"the recipe's {of_jacobians[0]} needs keypoints with jacobians; try --recipe paper")
    count = config.keypoints.num_keypoints
    if terms & NEED_LANDMARKS and count < NUM_LANDMARKS:
        raise UserError(f"the model has {count} keypoints, fewer than {NUM_LANDMARKS} landmarks; leave --landmarks out")


def build_model(args: argparse.Namespace) -> "tuple[ModelConfig, Family]":
    """The model at its start: from --from, else from the preset; F_d from --depth."""
    from dagan.models.weights import fill_face_reader, load, load_config, load_depth
    from dagan.presets import without_face

    config = load_config(args.start) if args.start else preset_config(args)
    if not (args.start or args.landmarks):
        config = without_face(config)
    model = load(args.start) if args.start else fill_face_reader(config.build())
    if args.depth is not None:
        if model.depth is None:
            raise UserError(f"preset {args.preset} has no depth network; leave --depth out")
        depth = load_depth(args.depth)
        try:
            model.depth.load_state_dict(depth.state_dict())
        except RuntimeError as error:
            raise UserError(f"the depth network in {args.depth} has another shape than the preset's") from error
    elif model.depth is not None and args.start is None:
        raise UserError("this preset needs a trained depth network: give --depth, from `dagan train-depth`")
    return config, model


def build_discriminator(args: argparse.Namespace) -> "tuple[JudgeConfig, nn.Module]":
    """The one that came with the model of --from, else a new one."""
    from dagan.models.discriminator import DiscriminatorConfig
    from dagan.models.weights import load_discriminator

    found = load_discriminator(args.start) if args.start else None
    if found is not None:
        return found
    # the paper's discriminator beside a lite generator would be most of the work
    config = DiscriminatorConfig() if args.recipe in ("paper", "released") else DiscriminatorConfig(width=32, cap=256)
    return config, config.build()


def preset_config(args: argparse.Namespace) -> "ModelConfig":
    """The preset with its overrides. Raises UserError for names, values and combinations that cannot be."""
    import torch

    from dagan.config import override
    from dagan.presets import PRESETS

    if args.preset not in PRESETS:
        raise UserError(f"unknown preset {args.preset!r}; known: {', '.join(PRESETS)}")
    config = PRESETS[args.preset]
    for setting in args.set:
        field, equals, value = setting.partition("=")
        if not equals:
            raise UserError(f"--set takes FIELD=VALUE, for example generator.width=32; given: {setting}")
        config = override(config, field, value)
    try:
        with torch.device("meta"):
            config.build()
    except (ValueError, RuntimeError, ArithmeticError, LookupError) as error:  # a width below zero, no such ResNet, ...
        raise UserError(f"no model can be built with these settings: {str(error).splitlines()[0]}") from error
    return config
