"""The clips that a training command was given: opened in every process, and people held out of them."""

import argparse
from typing import TYPE_CHECKING

from dagan.errors import UserError

if TYPE_CHECKING:
    from dagan.data.clips import ClipFrames
    from dagan.data.landmarks import LandmarkTracks
    from dagan.training.distributed import World


def open_data(
    args: argparse.Namespace, world: "World"
) -> "tuple[list[ClipFrames], list[ClipFrames], LandmarkTracks | None]":
    """Clips to train on, clips of people held out, and the landmarks of the former."""
    from dagan.data.landmarks import LandmarkTracks

    clips, validation = hold_out(open_together(args, world), args.validation)
    return clips, validation, LandmarkTracks(clips, args.landmarks) if args.landmarks else None


def open_together(args: argparse.Namespace, world: "World") -> "list[ClipFrames]":
    """All clips in every process; the first one makes the run folder and decodes."""
    from dagan.training.run_folder import prepare_folder

    if world.is_main:
        prepare_folder(args.run)
    with world.main_first():
        return open_all(args)


def open_all(args: argparse.Namespace) -> "list[ClipFrames]":
    """The clips of every folder, as --decode says; shards as they are."""
    from dagan.data.opening import open_clips

    cache, decode = args.cache or args.run / "cache", args.decode or ("cache" if args.cache else "seek")
    return [clip for folder in args.clips for clip in open_clips(folder, cache / folder.name, args.size, decode)]


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
