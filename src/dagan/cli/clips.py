"""The clips that a training command was given: opened in every process, and people held out of them."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from dagan.errors import UserError

if TYPE_CHECKING:
    from dagan.data.clips import ClipFrames
    from dagan.training.distributed import World

LOOKED_AT = 8  # clips, of which one frame each is looked at
SMALLEST_FACE = 0.25  # of the frame's side: published crops have 0.4 to 0.7


def open_together(args: argparse.Namespace, world: "World") -> "list[ClipFrames]":
    """All clips in every process; the first one makes the run folder and decodes."""
    from dagan.training.run_folder import prepare_folder

    if world.is_main:
        prepare_folder(args.run)
    with world.main_first():
        return open_all(args)


def open_all(args: argparse.Namespace) -> "list[ClipFrames]":
    """The clips of every folder, as --decode says; shards as they are."""
    return open_in(args, args.cache or args.run / "cache", args.decode or ("cache" if args.cache else "seek"))


def open_in(args: argparse.Namespace, cache: Path, decode: str) -> "list[ClipFrames]":
    from dagan.data.opening import open_clips

    return [clip for folder in args.clips for clip in open_clips(folder, cache / folder.name, args.size, decode)]


@contextmanager
def opened_for_a_look(args: argparse.Namespace) -> "Iterator[list[ClipFrames]]":
    """The clips, to count them: an index is made but kept only in --cache, and nothing is decoded."""
    with TemporaryDirectory(prefix="dagan-plan-") as folder:
        yield open_in(args, args.cache or Path(folder), "seek")


def hold_out(clips: "list[ClipFrames]", share: float) -> "tuple[list[ClipFrames], list[ClipFrames]]":
    """Clips to train on, and those of about `share` of all people.

    Each person's name alone decides, so that a run on other folders that goes on from this one holds out the same.
    Raises UserError when nobody would be left to train on.
    """
    from dagan.data.clips import lot

    held = {name for name in {clip.clip.identity for clip in clips} if lot(name) < share}
    kept = [clip for clip in clips if clip.clip.identity not in held]
    if not kept:
        raise UserError(f"--validation {share} holds out everybody in these clips; use a smaller share, or 0")
    return kept, [clip for clip in clips if clip.clip.identity in held]


def look_at_crops(clips: "Sequence[ClipFrames]") -> None:
    """Names on stderr those of a few clips that do not show one large face, which is what a model learns from."""
    from dagan.inference.face_detector import YuNet
    from dagan.training.validation import spread

    detector, problems = YuNet(), []
    looked_at = spread(clips, LOOKED_AT)
    for clip in looked_at:
        frame = clip.frames[len(clip) // 2]
        faces = detector.detect(frame)
        share = faces[0].height / frame.shape[0] if faces else 0.0
        if not faces:
            problems.append(f"{clip.clip.name} (no face)")
        elif share < SMALLEST_FACE:
            problems.append(f"{clip.clip.name} (a face of {share:.0%} of the side)")
    if problems:
        print(
            f"warning: {len(problems)} of {len(looked_at)} clips that were looked at are no face crops: "
            f"{'; '.join(problems)}; make clips around faces with `dagan prepare`",
            file=sys.stderr,
        )
