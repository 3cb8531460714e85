"""`dagan train`: stage 2, the talking head, on clips."""

import argparse
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from dagan.cli.device import add_device_argument, pick_device
from dagan.errors import UserError

if TYPE_CHECKING:
    import torch

    from dagan.data.clips import ClipFrames
    from dagan.models.discriminator import Discriminator, DiscriminatorConfig
    from dagan.models.talking_head import TalkingHead, TalkingHeadConfig
    from dagan.training.generation_stage import Phase

SIZE_STEP = 32  # the networks halve an image up to five times


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """What both training commands take."""
    parser.add_argument("clips", type=Path, nargs="+", help="folders of face clips (videos or frame folders)")
    parser.add_argument("-o", "--run", type=Path, required=True, help="run folder; an unfinished run there goes on")
    parser.add_argument("--preset", default="lite", help="model preset (dagan config list)")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="override a model setting")
    parser.add_argument("--cache", type=Path, help="folder for decoded frames (default: RUN/cache)")
    parser.add_argument("--size", type=int, default=256, help="side of the decoded frames in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="processes that load samples")
    parser.add_argument("--threads", type=int, help="CPU threads of the training process (default: all cores)")
    add_device_argument(parser)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_common_arguments(parser)
    parser.add_argument(
        "--recipe", help="phases and losses: lite, paper or released (default: released for imported models, else lite)"
    )
    parser.add_argument("--phases", help="comma-separated names of the recipe's phases to run (default: all)")
    parser.add_argument("--steps", type=int, help="steps of every phase, instead of the recipe's")
    parser.add_argument("--depth", type=Path, help="F_d from `dagan train-depth` (its model.safetensors)")
    parser.add_argument("--from", dest="start", type=Path, help="start from the weights of a model file")
    parser.add_argument("--perceptual", type=Path, required=True, help="VGG-16 or VGG-19 safetensors for L_P")
    parser.add_argument("--perceptual-side", type=int, default=128, help="largest side that VGG sees; 0: whole images")
    parser.add_argument("--landmarks", type=Path, nargs="+", help="folders written by scripts/landmarks.py")
    parser.add_argument("--validation", type=float, default=0.03, help="share of people held out to follow the run")


def run(args: argparse.Namespace) -> int:
    import torch

    from dagan.data.landmarks import LandmarkTracks
    from dagan.losses.perceptual import PerceptualLoss
    from dagan.models.weights import read_metadata
    from dagan.nn.blocks import AntiAliasDown, ReleasedDown
    from dagan.nn.vgg import load_vgg
    from dagan.training.generation_stage import GenerationNetworks
    from dagan.training.loop import LoopConfig, prepare_folder, train
    from dagan.training.stages import GenerationStage

    check_numbers(args)
    published = args.start is not None and "published" in read_metadata(args.start)
    args.recipe = args.recipe or ("released" if published else "lite")
    phases = pick_phases(args)
    device = start_torch(args)
    torch.manual_seed(args.seed)
    config, model = build_model(args)
    check_fit(config, phases)
    judge, discriminator = build_discriminator(args)
    down = ReleasedDown if published else AntiAliasDown
    perceptual = PerceptualLoss(load_vgg(args.perceptual), max_side=args.perceptual_side or None, down=down)
    prepare_folder(args.run)
    clips, validation = hold_out(open_all(args), args.validation)
    tracks = LandmarkTracks(clips, args.landmarks) if args.landmarks else None
    loop = LoopConfig(seed=args.seed, workers=args.workers)
    stage = GenerationStage(
        networks=GenerationNetworks(model, discriminator, perceptual),
        config=config,
        phases=phases,
        clips=clips,
        tracks=tracks,
        validation=validation,
        device=device,
        seed=args.seed,
    )
    print(f"{len(clips)} clips to train on, {len(validation)} held out; {sum(phase.steps for phase in phases)} steps")
    plain = run_config(
        args,
        model=config,
        phases=phases,
        discriminator=judge,
        perceptual=perceptual_facts(args),
        held_out=args.validation,
    )
    print(f"wrote {train(stage, loop, plain, args.run)}")
    return 0


def pick_phases(args: argparse.Namespace) -> "tuple[Phase, ...]":
    """The recipe's phases that were asked for. Raises UserError for unknown names or missing landmarks."""
    from dataclasses import replace

    from dagan.training.recipes import RECIPES

    if args.recipe not in RECIPES:
        raise UserError(f"unknown recipe {args.recipe!r}; known: {', '.join(RECIPES)}")
    phases = {phase.name: phase for phase in RECIPES[args.recipe]}
    wanted = args.phases.split(",") if args.phases else list(phases)
    unknown = [name for name in wanted if name not in phases]
    if unknown:
        raise UserError(f"recipe {args.recipe} has no phase {unknown[0]!r}; it has: {', '.join(phases)}")
    chosen = tuple(phases[name] for name in wanted)
    if args.steps is not None:
        chosen = tuple(replace(phase, steps=args.steps) for phase in chosen)
    if args.landmarks:
        return chosen
    return tuple(
        replace(phase, objective=tuple(term for term in phase.objective if term[0] != "landmark_guidance"))
        for phase in chosen
    )


def check_numbers(args: argparse.Namespace) -> None:
    """Raises UserError for numbers that no run can have."""
    if args.size < SIZE_STEP or args.size % SIZE_STEP:
        raise UserError(f"--size {args.size}: the networks need a multiple of {SIZE_STEP}")
    for name, least in (("steps", 1), ("batch_size", 1), ("workers", 0), ("threads", 1), ("perceptual_side", 0)):
        value = getattr(args, name, None)
        if value is not None and value < least:
            raise UserError(f"--{name.replace('_', '-')} is {value}; it must be {least} or more")


def check_fit(config: "TalkingHeadConfig", phases: "tuple[Phase, ...]") -> None:
    """Raises UserError when the phases have a loss that the model's keypoints cannot have."""
    from dagan.data.landmarks import GUIDED_LANDMARKS

    terms = {name for phase in phases for name, _ in phase.objective}
    if "jacobian_equivariance" in terms and not config.keypoints.has_jacobian:
        raise UserError("the recipe's jacobian_equivariance needs keypoints with jacobians; try --recipe paper")
    count, wanted = config.keypoints.num_keypoints, len(GUIDED_LANDMARKS)
    if "landmark_guidance" in terms and count < wanted:
        raise UserError(f"the model has {count} keypoints, fewer than the {wanted} landmarks; leave --landmarks out")


def build_model(args: argparse.Namespace) -> "tuple[TalkingHeadConfig, TalkingHead]":
    """The model at its start: from --from, else from the preset; F_d from --depth."""
    from dagan.models.weights import load, load_config, load_depth

    config = load_config(args.start) if args.start else preset_config(args)
    model = load(args.start) if args.start else config.build()
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


def build_discriminator(args: argparse.Namespace) -> "tuple[DiscriminatorConfig, Discriminator]":
    """The one that came with the model of --from, else a new one."""
    from dagan.models.discriminator import DiscriminatorConfig
    from dagan.models.weights import load_discriminator

    found = load_discriminator(args.start) if args.start else None
    if found is not None:
        return found
    # the paper's discriminator beside a lite generator would be most of the work
    config = DiscriminatorConfig(width=32, cap=256) if args.recipe == "lite" else DiscriminatorConfig()
    return config, config.build()


def preset_config(args: argparse.Namespace) -> "TalkingHeadConfig":
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


def open_all(args: argparse.Namespace) -> "list[ClipFrames]":
    """The clips of every folder, decoded."""
    from dagan.data.clips import open_frames

    cache = args.cache or args.run / "cache"
    return [clip for folder in args.clips for clip in open_frames(folder, cache / folder.name, args.size)]


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


def start_torch(args: argparse.Namespace) -> "torch.device":
    """The device, with PyTorch's number of CPU threads set."""
    import torch

    if args.threads:
        torch.set_num_threads(args.threads)
    return pick_device(args.device)


def perceptual_facts(args: argparse.Namespace) -> dict[str, object]:
    return {"network": args.perceptual.name, "max_side": args.perceptual_side}


def run_config(args: argparse.Namespace, **parts: object) -> dict[str, object]:
    """The run as one plain value: what resume compares."""
    from dagan import __version__
    from dagan.config import to_plain

    facts: dict[str, object] = {
        "version": __version__,
        "seed": args.seed,
        "size": args.size,
        "clips": [str(path) for path in args.clips],
    }
    return {**facts, **{name: to_plain(part) for name, part in parts.items()}}
