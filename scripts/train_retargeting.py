"""Trains how expressions move a model's keypoints, after its detector: minutes on two cores; the rest of it stays.

  scripts/train_retargeting.py MODEL OUT --clips CLIPS_DIR... --landmarks LANDMARKS_DIR... --cache CACHE_DIR

LANDMARKS_DIR are of scripts/landmarks.py. OUT is MODEL with its retargeting trained on, or a new one.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from dagan.cli.device import add_device_argument, pick_device
from dagan.data.landmarks import LandmarkTracks
from dagan.data.opening import open_clips
from dagan.models.weights import load, load_config, save_model
from dagan.training.retargeting import RetargetingRecipe, find_faces, train_retargeting
from dagan.transfer.retargeting import FaceRetargeting, FaceRetargetingConfig

SIZE = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--clips", type=Path, nargs="+", required=True)
    parser.add_argument("--landmarks", type=Path, nargs="+", required=True)
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded frames")
    parser.add_argument("--per-clip", type=int, default=36, help="frames of each clip")
    parser.add_argument("--steps", type=int, default=RetargetingRecipe.steps)
    add_device_argument(parser)
    args = parser.parse_args()
    device = pick_device(args.device)
    model, config = load(args.model, device), load_config(args.model)
    config = replace(config, retargeting=config.retargeting or FaceRetargetingConfig())
    clips = [clip for folder in args.clips for clip in open_clips(folder, args.cache / folder.name, SIZE, "cache")]
    faces = find_faces(model, clips, LandmarkTracks(clips, args.landmarks), args.per_clip)
    if not isinstance(model.retargeting, FaceRetargeting):
        model.retargeting = config.retargeting.build().to(device)
    losses = train_retargeting(model.retargeting, faces, RetargetingRecipe(steps=args.steps))
    print(f"{len(faces.first)} faces; " + ", ".join(f"{name} {value:.5f}" for name, value in losses.items()))
    save_model(args.out, model, config)


if __name__ == "__main__":
    main()
