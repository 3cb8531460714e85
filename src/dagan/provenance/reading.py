"""The invisible mark, read: soft values of all frames together, a few candidates decoded, the checksum decides."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex64, Float32, UInt8
from PIL import Image

from dagan.provenance.code import decoded, encoded
from dagan.provenance.grid import Grey, Place, grid_at, luma
from dagan.provenance.pattern import KEY, Lattice, lattice, patterns
from dagan.provenance.payload import CHECKSUM, Payload, checked
from dagan.provenance.watermark import STEP

MOST_FRAMES = 96  # that are read of a video
MOST_SIDE = 1280  # pixels: larger frames are reduced
GAINS = np.geomspace(0.5, 2.0, 61, dtype=np.float32)  # contrast that is tried; the middle one is 1
DECODED = 8  # candidates of a round that are decoded


class Reading(NamedTuple):
    """A mark that was found. `agreement`: the share of the 144 coded bits that were read right; `chance`: how probably
    an unmarked file would have been read so, all that was tried counted in."""

    payload: Payload
    agreement: float
    chance: float
    place: Place
    gain: float
    num_frames: int


class Candidate(NamedTuple):
    """A place and a contrast, and how much the projections there look like points of a lattice."""

    score: float
    place: Place
    gain: float


def sampled(frames: Iterable[UInt8[np.ndarray, "h w 3"]], most: int = MOST_FRAMES) -> list[Grey]:
    """At most `most` frames, evenly spread over the video, as luma. Memory does not grow with length."""
    kept: list[Grey] = []
    every = 1
    for number, frame in enumerate(frames):
        if number % every == 0:
            kept.append(_grey(frame))
        if len(kept) == 2 * most:
            kept, every = kept[::2], 2 * every
    return kept[:: -(-len(kept) // most)] if kept else kept


def read_at(frames: Sequence[Grey], candidates: Sequence[Candidate], tries: int, key: bytes = KEY) -> Reading | None:
    """The mark at the first of the candidates whose checksum is right. `tries`: how many are decoded for this file in
    all, which is what a chance agreement is counted with."""
    found = lattice(key)
    for candidate in candidates:
        soft = _means(frames, candidate.place, np.array([candidate.gain], np.float32), found).real[0]
        bits = decoded(soft[None].astype(np.float32))[0]
        payload = checked(bits, found.salt)
        if payload is not None:
            agreement = float(((soft < 0) == encoded(bits)).mean())
            chance = tries * 2.0**-CHECKSUM
            return Reading(payload, agreement, chance, candidate.place, candidate.gain, len(frames))
    return None


def contrasts(frames: Sequence[Grey], places: Iterable[Place], key: bytes = KEY) -> list[Candidate]:
    """The most promising of all contrasts in these places; unchanged contrast in each place comes first."""
    found = lattice(key)
    unchanged, changed = [], []
    for place in places:
        scores = lattice_score(_means(frames, place, GAINS, found))
        made = [Candidate(float(score), place, float(gain)) for score, gain in zip(scores, GAINS, strict=True)]
        unchanged.append(made.pop(len(made) // 2))
        changed += made
    return [*unchanged, *sorted(changed, reverse=True)][:DECODED]


def score_at(frames: Sequence[Grey], place: Place, key: bytes = KEY) -> float:
    """How much the projections in a place look like points of a lattice, at unchanged contrast."""
    return float(lattice_score(_means(frames, place, np.ones(1, np.float32), lattice(key)))[0])


def lattice_score(means: Complex64[np.ndarray, "n k"]) -> Float32[np.ndarray, " n"]:
    """How near the mean phases are to 0 or half a turn, in standard deviations of what chance gives."""
    size = np.abs(means) + 1e-9
    return np.asarray(((means**2).real / size).sum(1) / np.sqrt((size**2).sum(1) / 2), np.float32)


def _means(
    frames: Sequence[Grey], place: Place, gains: Float32[np.ndarray, " n"], found: Lattice
) -> Complex64[np.ndarray, "n 144"]:
    """The mean over all frames of each pattern's place on its lattice, as a phase, for each contrast."""
    grids = np.stack([grid_at(frame, place).ravel() for frame in frames])
    steps = grids @ patterns().T / STEP  # t 144
    return mean_phase(steps / gains[:, None, None] - found.turns)  # n t 144


def mean_phase(turns: Float32[np.ndarray, "n t k"]) -> Complex64[np.ndarray, "n k"]:
    """The means over t of angles, as points in the unit circle."""
    angles = np.float32(2 * np.pi) * turns
    return np.asarray(np.cos(angles).mean(1) + 1j * np.sin(angles).mean(1), np.complex64)


def reduction(width: int, height: int) -> float:
    """By how much frames of this size are made smaller before they are read."""
    return min(1.0, MOST_SIDE / max(width, height))


def _grey(frame: UInt8[np.ndarray, "h w 3"]) -> Grey:
    grey = luma(frame)
    height, width = grey.shape
    share = reduction(width, height)
    if share == 1:
        return grey
    size = (round(width * share), round(height * share))
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))
