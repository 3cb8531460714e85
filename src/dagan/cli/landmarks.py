"""`dagan landmarks CLIPS -o DIR`: the face landmarks of clips, for `dagan train --landmarks DIR`."""

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from dagan.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from dagan.data.clips import Clip

SHARD_SIDE = 256  # of the frames of shards


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("clips", type=Path, nargs="+", metavar="CLIPS", help="folders of face clips or shards")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="DIR", help="folder for one .npz a clip; those there are kept"
    )
    parser.add_argument("--stride", type=int, default=1, metavar="N", help="look at every Nth frame only (default: 1)")


def run(args: argparse.Namespace) -> int:
    if args.stride < 1:
        raise UserError(f"--stride is {args.stride}; it must be 1 or more")
    from tqdm import tqdm

    from dagan.files import check_folder, check_output
    from dagan.observers.clip_landmarks import find_landmarks, save_landmarks
    from dagan.observers.mediapipe_face import MediaPipeFace

    check_output(args.out, args.clips)
    check_folder(args.out)
    with TemporaryDirectory(prefix="dagan-index-") as index:
        clips = [clip for folder in args.clips for clip in square_clips(folder, Path(index))]
        if len({clip.name for clip in clips}) < len(clips):
            raise UserError("two clips have the same name; find the landmarks of each folder with another -o")
        targets = [args.out / f"{clip.name}.npz" for clip in clips]
        todo = [(clip, target) for clip, target in zip(clips, targets, strict=True) if not target.is_file()]
        frames = faces = 0
        with MediaPipeFace() as observer:
            for clip, target in tqdm(todo, unit="clip", disable=not sys.stderr.isatty()):
                landmarks = find_landmarks(observer, clip.frames(), args.stride)
                target.parent.mkdir(parents=True, exist_ok=True)  # clips in folders of people keep them
                save_landmarks(landmarks, target)
                frames, faces = frames + -(-len(landmarks.found) // args.stride), faces + int(landmarks.found.sum())
    done = len(clips) - len(todo)
    print(f"wrote {len(todo)} files in {args.out} ({done} were there): {faces} faces in {frames} frames")
    return 0


class SquareClip(NamedTuple):
    """A clip's name, and its frames as training sees them: the central squares."""

    name: str
    frames: "Callable[[], Iterator[np.ndarray]]"


def square_clips(folder: Path, index: Path) -> "list[SquareClip]":
    """Those of a folder of videos, of folders of frames, or of shards, of which an index may be made in `index`."""
    from dagan.data.clips import find_clips, fit_square, read_clip
    from dagan.data.shards import holds_shards, open_shards

    if holds_shards(folder):
        opened = open_shards(folder, index / folder.name, SHARD_SIDE)
        return [SquareClip(it.clip.name, partial(map, it.frames.__getitem__, range(len(it)))) for it in opened]

    def squares(clip: "Clip") -> "Iterator[np.ndarray]":
        return (fit_square(frame, min(frame.shape[:2])) for frame in read_clip(clip))

    return [SquareClip(clip.name, partial(squares, clip)) for clip in find_clips(folder)]
