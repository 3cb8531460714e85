"""`dagan finetune CLIP --from MODEL -o RUN`: a model made to suit one person, in minutes, from a video of them."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dagan.cli.device import add_device_argument, pick_device
from dagan.cli.sizes import check_size
from dagan.cli.training import check_least, check_run
from dagan.errors import UserError

if TYPE_CHECKING:
    import torch

    from dagan.data.clips import Clip
    from dagan.data.frame_cache import CachedFrames
    from dagan.losses.perceptual import PerceptualLoss
    from dagan.training.before_after import Outcome
    from dagan.training.finetune import Start
    from dagan.training.loop import LoopConfig
    from dagan.training.phases import Phase

DEFAULT_SIZE = 256  # as `dagan animate`


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("clip", metavar="CLIP", type=Path, help="video of one person; its last fifth is held out")
    add("--from", dest="start", metavar="MODEL", type=Path, help="model file to go on from (default: the package's)")
    add("-o", "--run", metavar="RUN", type=Path, required=True, help="run folder; an unfinished run there goes on")
    add(
        "--minutes",
        type=float,
        metavar="M",
        default=5.0,
        help="training ends by then (default 5), or when it stops to help",
    )
    add("--steps", type=int, metavar="N", help="most training steps (default: the recipe's)")
    add("--learning-rate", type=float, metavar="RATE", help="default: the recipe's")
    add("--batch-size", type=int, metavar="N", help="pairs of frames a step (default: the recipe's)")
    add("--frames", type=int, metavar="N", default=1000, help="most frames used, evenly chosen (default 1000)")
    add(
        "--crop",
        metavar="none|auto|x,y,w,h",
        default="auto",
        help="square to use: around the face unless it is a face crop already (auto, default), the middle, or around a "
        "rectangle in pixels",
    )
    add("--size", metavar="PIXELS", type=int, default=DEFAULT_SIZE, help=f"side of the frames (default {DEFAULT_SIZE})")
    add("--perceptual", metavar="VGG", type=Path, help="vgg19, vgg16 or a safetensors file of either")
    add(
        "--perceptual-side", type=int, metavar="PIXELS", default=128, help="largest side that VGG sees; 0: whole images"
    )
    add("--seed", type=int, metavar="N", default=0)
    add("--threads", type=int, metavar="N", help="CPU threads (default: all cores)")
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    import torch

    from dagan.training.before_after import read_outcome
    from dagan.training.finetune import finetuning_stage
    from dagan.training.loop import train
    from dagan.training.run_folder import fingerprint, prepare_folder

    check_options(args)
    check_run(args)
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    device = pick_device(args.device)
    start = build_start(args)
    prepare_folder(args.run)
    frames, clip = open_clip(args)
    phase = pick_phase(args, start)
    stage = finetuning_stage(start, phase, frames, clip, device, args.seed)
    print(
        f"{len(frames)} frames, {len(stage.clips[0])} of them to train on; at most {args.minutes:g} minutes", flush=True
    )
    train(stage, loop_of(args), run_facts(args, start, phase, frames), args.run, data=fingerprint([args.clip]))
    return report(args, read_outcome(args.run) or finish(args, frames, device))


def check_options(args: argparse.Namespace) -> None:
    """What can be known without importing anything heavy. Raises UserError."""
    from dagan.files import check_given

    check_given(args.clip, "video of one person")
    check_size(args.size)
    check_least(args, {"steps": 1, "batch_size": 1, "threads": 1, "perceptual_side": 0, "frames": 1})
    for name in ("minutes", "learning_rate"):
        value = getattr(args, name)
        if value is not None and not 0 < value < float("inf"):
            raise UserError(f"--{name.replace('_', '-')} is {value:g}; it must be more than 0")


def build_start(args: argparse.Namespace) -> "Start":
    """The model and what it needs to go on. Raises UserError when it cannot be had."""
    from dagan.models.weights import load, load_config, load_discriminator, read_metadata
    from dagan.training.finetune import Start

    published = args.start is not None and "published" in read_metadata(args.start)
    config, model = load_config(args.start), load(args.start)
    found = load_discriminator(args.start) if args.start is not None else None
    perceptual = build_perceptual(args, published)
    return Start(config=config, model=model, discriminator=found[1] if found else None, perceptual=perceptual)


def build_perceptual(args: argparse.Namespace, published: bool) -> "PerceptualLoss | None":
    """L_P of the network that was given or is in the cache, else None, and says so. Raises UserError for a bad path."""
    from dagan.losses.perceptual import PerceptualLoss
    from dagan.nn.blocks import AntiAliasDown, ReleasedDown
    from dagan.nn.vgg_files import find_vgg

    try:
        found = find_vgg(args.perceptual)
    except UserError as error:
        if args.perceptual is not None:
            raise
        print(f"training without the perceptual loss: {error}", flush=True)
        return None
    print(found, flush=True)
    down = ReleasedDown if published else AntiAliasDown
    return PerceptualLoss(found.load(), max_side=args.perceptual_side or None, down=down)


def open_clip(args: argparse.Namespace) -> "tuple[CachedFrames, Clip]":
    """The clip's frames as the model wants them. Raises UserError for a clip that cannot be used."""
    from dagan.data.clips import Clip, identity_of
    from dagan.inference.crop import parse_crop
    from dagan.inference.person_clip import count_frames, store_clip
    from dagan.training.finetune import split_frames

    num_frames = min(args.frames, count_frames(args.clip))
    split_frames(num_frames, str(args.clip))  # too short a clip should not wait for its face to be found
    frames = store_clip(args.clip, parse_crop(args.crop), args.size, num_frames, args.run)
    return frames, Clip(args.clip, identity_of(args.clip.stem), args.clip.stem)


def pick_phase(args: argparse.Namespace, start: "Start") -> "Phase":
    """The recipe that suits the model, with what was given in its place."""
    from dagan.losses.objective import TERMS, of_others
    from dagan.training.finetune import finetuning_phase

    given = {"steps": args.steps, "batch_size": args.batch_size, "learning_rate": args.learning_rate}
    return finetuning_phase(
        has_discriminator=start.discriminator is not None,
        has_jacobian=getattr(getattr(start.config, "keypoints", None), "has_jacobian", False),
        has_perceptual=start.perceptual is not None,
        changes={"image_size": args.size, **{name: value for name, value in given.items() if value is not None}},
        unsuitable=of_others(start.config, TERMS),
    )


def loop_of(args: argparse.Namespace) -> "LoopConfig":
    from dataclasses import replace

    from dagan.training.finetune import MINUTES_LOOP

    return replace(MINUTES_LOOP, seed=args.seed, minutes=args.minutes)


def run_facts(args: argparse.Namespace, start: "Start", phase: "Phase", frames: "CachedFrames") -> dict[str, object]:
    """The run as one plain value: what resume compares."""
    from dagan.config import to_plain
    from dagan.data.weight_files import sha256_of

    return {
        "start": sha256_of(args.start) if args.start is not None else "bundled",
        "model": to_plain(start.config),
        "phases": to_plain((phase,)),
        "frames": frames.path.name,  # of the clip, its crop and its size
        "perceptual_side": args.perceptual_side if start.perceptual is not None else None,
        "seed": args.seed,
    }


def finish(args: argparse.Namespace, frames: "CachedFrames", device: "torch.device") -> "Outcome":
    """Compares start and best on the held-out frames, writes numbers and picture, and keeps the better model."""
    from dagan.evaluation.metrics.pairwise import psnr
    from dagan.evaluation.metrics.ssim import ssim
    from dagan.models.weights import load, load_config, save_model
    from dagan.training.before_after import measure_outcome, write_outcome, write_picture
    from dagan.training.finetune import pairs_across, split_frames
    from dagan.training.loop import BEST_MODEL

    best, before = args.run / BEST_MODEL, load(args.start, device)
    after = load(best if best.exists() else args.start, device)  # no best: never a number
    split = split_frames(len(frames), str(args.clip))
    stopping, final = (pairs_across(frames, split.train, part, device) for part in (split.stopping, split.final))
    outcome = measure_outcome(before, after, stopping, final, {"ssim": ssim, "psnr": psnr})
    write_picture(args.run, before, after, final, outcome.is_better)
    if not outcome.is_better:
        save_model(best, before, load_config(args.start))
    write_outcome(args.run, outcome)  # last: where it is, all is done
    return outcome


def report(args: argparse.Namespace, outcome: "Outcome") -> int:
    """Prints what came out."""
    from dagan.training.before_after import NAME
    from dagan.training.loop import BEST_MODEL

    print(outcome.table)
    if not outcome.is_better:
        print("fine-tuning did not help on the held-out frames; the model stays what it was")
    print(f"wrote {args.run / BEST_MODEL}; before and after: {args.run / NAME}.png")
    return 0
