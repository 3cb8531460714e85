"""`dagan train-retargeting CLIPS --landmarks DIR --from MODEL -o RUN`: how expressions move a model's keypoints."""

import argparse
from pathlib import Path

from dagan.cli.device import add_device_argument, pick_device
from dagan.cli.sizes import check_size
from dagan.cli.training import check_run
from dagan.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Trains the small networks that carry expressions from one person to another, in minutes. They learn from the "
        "landmarks of clips and from the keypoints that the model's detector finds there, so train the detector first "
        "(`dagan train --phases keypoints,motion,half_size`). Everything else in the model stays as it is."
    )
    add = parser.add_argument
    add("clips", type=Path, nargs="+", metavar="CLIPS", help="folders of face clips")
    add("--landmarks", type=Path, nargs="+", required=True, metavar="DIR", help="folders written by `dagan landmarks`")
    add("--from", dest="start", type=Path, required=True, metavar="MODEL", help="model file to go on from")
    add("-o", "--run", type=Path, required=True, metavar="RUN", help="run folder; model.safetensors is written there")
    add("--cache", type=Path, help="folder for decoded frames (default: RUN/cache)")
    add("--per-clip", type=int, default=36, metavar="N", help="frames of each clip, evenly chosen (default: 36)")
    add("--steps", type=int, default=3000, help="training steps (default: 3000)")
    add("--size", type=int, default=256, help="side of the decoded frames in pixels (default: 256)")
    add("--seed", type=int, default=0)
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    for name in ("per_clip", "steps"):
        if getattr(args, name) < 1:
            raise UserError(f"--{name.replace('_', '-')} is {getattr(args, name)}; it must be 1 or more")
    check_size(args.size)
    check_run(args)
    import torch

    from dagan.data.landmarks import LandmarkTracks
    from dagan.data.opening import open_clips
    from dagan.models.weights import load, load_config, save_model
    from dagan.training.loop import MODEL
    from dagan.training.retargeting import RetargetingRecipe, find_faces, train_retargeting, with_retargeting
    from dagan.training.run_folder import prepare_folder

    device = pick_device(args.device)
    torch.manual_seed(args.seed)
    model, config, retargeting = with_retargeting(load(args.start, device), load_config(args.start))
    prepare_folder(args.run)
    cache = args.cache or args.run / "cache"
    clips = [clip for folder in args.clips for clip in open_clips(folder, cache / folder.name, args.size, "cache")]
    faces = find_faces(model, clips, LandmarkTracks(clips, args.landmarks), args.per_clip)
    losses = train_retargeting(retargeting, faces, RetargetingRecipe(steps=args.steps, seed=args.seed))
    print(f"{len(faces.first)} faces; " + ", ".join(f"{name} {value:.5f}" for name, value in losses.items()))
    save_model(args.run / MODEL, model, config)
    print(f"wrote {args.run / MODEL}")
    return 0
