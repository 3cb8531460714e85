"""Synthetic clips on disk: frames as a memory map that training reads like any clip's, and their truth beside them."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from tqdm import tqdm

from dagan.data.clips import Clip, ClipFrames
from dagan.data.synthetic.path import USUAL_TURN
from dagan.data.synthetic.world import SyntheticClip, synthetic_clip
from dagan.errors import UserError

WORLD_VERSION = 1  # part of every file's name: raise it when the world's pixels change
HELD_OUT_FROM = 1_000_000  # identities from here on are for measuring; training uses 0, 1, 2, ...


class Truth(NamedTuple):
    """What is known of a stored clip; see `SyntheticClip`."""

    depth: Float[np.ndarray, "t h w"]
    part: UInt8[np.ndarray, "t h w"]
    rotation: Float[np.ndarray, "t 3 3"]
    translation: Float[np.ndarray, "t 3"]
    intrinsics: Float[np.ndarray, "3 3"]


class StoredClip(NamedTuple):
    """One stored clip. Its truth is read when asked for."""

    clip: ClipFrames
    truth_file: Path

    def truth(self) -> Truth:
        with np.load(self.truth_file) as stored:
            return Truth(**{name: stored[name] for name in Truth._fields})


def synthetic_clips(
    identities: Iterable[int], folder: Path, num_frames: int, size: int, turned: float = USUAL_TURN
) -> list[StoredClip]:
    """One clip of each identity, rendered into `folder` unless it is there already. `turned`: see `synthetic_clip`.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        progress = tqdm(list(identities), desc="rendering heads", unit="clip", disable=None, delay=2.0)
        return [_stored(identity, folder, num_frames, size, turned) for identity in progress]
    except OSError as error:
        raise UserError(f"cannot write synthetic clips into {folder}: {error.strerror or error}") from error


def _stored(identity: int, folder: Path, num_frames: int, size: int, turned: float) -> StoredClip:
    kind = "" if turned == USUAL_TURN else f"-turned{turned:g}"
    name = f"head{identity:07d}-{num_frames}x{size}{kind}-w{WORLD_VERSION}"
    frames, truth = folder / f"{name}.npy", folder / f"{name}.truth.npz"
    if not (frames.exists() and truth.exists()):
        _write(synthetic_clip(num_frames, size, identity, turned=turned), frames, truth)
    clip = Clip(frames, f"head{identity:07d}", f"head{identity:07d}__0")
    return StoredClip(ClipFrames(np.load(frames, mmap_mode="r"), clip), truth)


def _write(clip: SyntheticClip, frames: Path, truth: Path) -> None:
    """Both files under a temporary name first; the frames last, since they are what is looked for."""
    partial = truth.with_name(f".{truth.name}.{os.getpid()}.npz")
    np.savez(partial, **{name: getattr(clip, name) for name in Truth._fields})
    os.replace(partial, truth)
    partial = frames.with_name(f".{frames.name}.{os.getpid()}.npy")
    np.save(partial, clip.frames)
    os.replace(partial, frames)
