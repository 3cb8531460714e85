"""Where the mark lies, when a video was cropped or the drawn square is a part of it: shifts and sizes are tried.

Projections change by half a step of the lattice when the square is moved by a quarter of a cell, so shifts go in
tenths. A try is a product of a small matrix: for each size the frame is averaged once, over squares of two by two
cells that begin at every tenth; the patterns are slow enough to be multiplied at that resolution.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32
from numpy.lib.stride_tricks import sliding_window_view

from dagan.provenance.grid import Grey, Place, averages
from dagan.provenance.pattern import KEY, SIDE, cosines, lattice, patterns
from dagan.provenance.reading import DECODED, Candidate, lattice_score, mean_phase, score_at
from dagan.provenance.watermark import STEP

FINE = 10  # shifts a cell
HALF = SIDE // 2  # cells a side at which the patterns are multiplied
WIDE = 2 * FINE  # shifts in such a cell
SIZE_STEP = 0.003  # of a size: a tenth of a cell at the rim
FEW = 64  # patterns that are looked at in a search
FRAMES = 4  # of the video that are looked at in a search
KEPT = 48  # candidates that are looked at again, with all patterns
MORE_FRAMES = 16  # of the video, for that
CROPPED = 0.105  # of the mark's square may have been cut off in each direction
REFINE = (0.06, 0.03, 0.015)  # steps of the last approach, in cells


class Window(NamedTuple):
    """Squares to try, of sizes from `least` to `most` pixels, about the middle (x, y): at most `shift` of the size from
    it, and as far as the square still covers `cover` pixels about the middle."""

    x: float
    y: float
    least: float
    most: float
    shift: float = 1.0
    cover: float = 0.0


def cropped(width: int, height: int) -> Window:
    """The window for a video that is a part of the mark's square: up to `CROPPED` of it was cut away."""
    side = max(width, height)
    return Window(width / 2, height / 2, side, side / (1 - CROPPED), cover=side)


def around(place: Place) -> Window:
    """The window for a square that is known roughly, as from the face that was found."""
    size = (place.width + place.height) / 2
    return Window(place.x + place.width / 2, place.y + place.height / 2, 0.94 * size, 1.07 * size, shift=0.04)


def searched(frames: Sequence[Grey], windows: Sequence[Window], key: bytes = KEY) -> list[Candidate]:
    """The most promising places in all windows, the best first, each moved to where it looks best."""
    few, more = (frames[:: -(-len(frames) // count)] for count in (FRAMES, MORE_FRAMES))
    best = [one for window in windows for one in _best_of_sizes(few, window, key)]
    again = [one._replace(score=score_at(more, one.place, key)) for one in sorted(best, reverse=True)[:KEPT]]
    return [_refined(more, one, key) for one in sorted(again, reverse=True)[:DECODED]]


def _best_of_sizes(frames: Sequence[Grey], window: Window, key: bytes) -> Iterator[Candidate]:
    turns = lattice(key).turns[:FEW]
    for size in sizes(window).tolist():
        means, places = means_of_size(frames, window, size)
        scores = lattice_score(means * np.exp(-2j * np.pi * turns).astype(np.complex64))
        best = int(scores.argmax())
        yield Candidate(float(scores[best]), places[best], 1.0)


def sizes(window: Window) -> Float32[np.ndarray, " n"]:
    count = max(2, round(np.log(window.most / window.least) / SIZE_STEP) + 1)
    return np.geomspace(window.least, window.most, count, dtype=np.float32)


def means_of_size(
    frames: Sequence[Grey], window: Window, size: float, few: int = FEW
) -> tuple[np.ndarray, list[Place]]:
    """The patterns' mean phases for all shifts of a square of this size, before a key's lattice, and where they are."""
    height, width = frames[0].shape
    step = size / SIDE / FINE  # pixels
    reach = min(window.shift, (1 - window.cover / size) / 2)
    count = 2 * int(np.ceil(reach * SIDE * FINE)) + 1
    left, top = (middle - size / 2 - step * (count // 2) for middle in (window.x, window.y))
    across, down = (
        averages(length, start, step, WIDE * step, count + WIDE * (HALF - 1))
        for length, start in ((width, left), (height, top))
    )
    half, total = _half_patterns(few), np.zeros((count * count, few), np.complex64)
    for frame in frames:
        means = down @ frame.astype(np.float32) @ across.T
        shifts = sliding_window_view(means, (WIDE * (HALF - 1) + 1,) * 2)[..., ::WIDE, ::WIDE]
        total += mean_phase(shifts.reshape(count * count, 1, HALF * HALF) @ half.T)
    shifted = [Place(left + step * x, top + step * y, size, size) for y in range(count) for x in range(count)]
    return total / len(frames), shifted


@cache
def _half_patterns(few: int) -> Float32[np.ndarray, "few 1024"]:
    """Some patterns for means over two by two cells, in steps of the lattice: with the cosines as large as before."""
    frequency = np.arange(HALF)
    kept = 1 / np.cos(np.pi * frequency / (2 * SIDE))  # what the mean of two cells leaves of a cosine, undone
    full, small = cosines(SIDE)[:HALF], cosines(HALF)
    spectrum = full @ patterns()[:few].reshape(few, SIDE, SIDE) @ full.T * np.outer(kept, kept) * 2
    return np.asarray((small.T @ spectrum @ small).reshape(few, -1) / STEP, np.float32)


def _refined(frames: Sequence[Grey], candidate: Candidate, key: bytes) -> Candidate:
    """The candidate moved, and made larger or smaller, in ever finer steps as long as that looks better."""
    best = candidate._replace(score=score_at(frames, candidate.place, key))
    for step in REFINE:
        pixels = step * best.place.width / SIDE
        for move in ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)):
            place = _moved(best.place, *(pixels * part for part in move))
            score = score_at(frames, place, key)
            if score > best.score:
                best = best._replace(score=score, place=place)
    return best


def _moved(place: Place, right: float, down: float, larger: float) -> Place:
    """Moved by so many pixels, and each side moved outwards by `larger`."""
    x, y, width, height = place
    return Place(x + right - larger, y + down - larger, width + 2 * larger, height + 2 * larger)
