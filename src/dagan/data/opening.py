"""Clips for training, whichever way they are kept: folders of videos or of frames, and WebDataset shards."""

from pathlib import Path

from dagan.data.clip_index import open_seeking
from dagan.data.clips import ClipFrames
from dagan.data.frame_cache import open_frames
from dagan.data.shards import holds_shards, open_shards
from dagan.errors import UserError

DECODERS = {"seek": open_seeking, "cache": open_frames}  # decode frames when they are asked for; or all, once


def open_clips(root: str | Path, cache_dir: str | Path, size: int, decode: str) -> list[ClipFrames]:
    """The clips in a folder at `size` x `size`; `decode` is a key of `DECODERS`. Shards are read as they are.

    Raises:
        UserError: no such folder, or nothing in it that can be used.
    """
    if decode not in DECODERS:
        raise UserError(f"unknown way to decode: {decode!r}; known: {', '.join(DECODERS)}")
    return (open_shards if holds_shards(root) else DECODERS[decode])(root, cache_dir, size)
