"""`dagan landmarks CLIPS -o DIR`: the face landmarks of clips, for `dagan train --landmarks DIR`."""

import argparse
import sys
from pathlib import Path

from dagan.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("clips", type=Path, nargs="+", metavar="CLIPS", help="folders of face clips")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="DIR", help="folder for one .npz a clip; those there are kept"
    )
    parser.add_argument("--stride", type=int, default=1, metavar="N", help="look at every Nth frame only (default: 1)")


def run(args: argparse.Namespace) -> int:
    if args.stride < 1:
        raise UserError(f"--stride is {args.stride}; it must be 1 or more")
    from tqdm import tqdm

    from dagan.data.clips import find_clips, read_clip
    from dagan.files import check_output
    from dagan.observers.clip_landmarks import find_landmarks, save_landmarks
    from dagan.observers.mediapipe_face import MediaPipeFace

    check_output(args.out, args.clips)
    clips = [clip for folder in args.clips for clip in find_clips(folder)]
    if len({clip.name for clip in clips}) < len(clips):
        raise UserError("two clips have the same name; find the landmarks of each folder with another -o")
    args.out.mkdir(parents=True, exist_ok=True)
    targets = [args.out / f"{clip.name}.npz" for clip in clips]
    todo = [(clip, target) for clip, target in zip(clips, targets, strict=True) if not target.is_file()]
    frames = faces = 0
    with MediaPipeFace() as observer:
        for clip, target in tqdm(todo, unit="clip", disable=not sys.stderr.isatty()):
            landmarks = find_landmarks(observer, read_clip(clip), args.stride)
            save_landmarks(landmarks, target)
            frames, faces = frames + -(-len(landmarks.found) // args.stride), faces + int(landmarks.found.sum())
    done = len(clips) - len(todo)
    print(f"wrote {len(todo)} files in {args.out} ({done} were there): {faces} faces in {frames} frames")
    return 0
