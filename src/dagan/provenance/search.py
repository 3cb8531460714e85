"""Where the mark lies, when a video was cropped or the drawn square is a part of it: shifts and sizes are tried.

A try is a product of a small matrix: each size needs the frame once on a grid of quarter cells, on which a shift is an
offset. The patterns are slow, so they are multiplied at half the resolution.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from dagan.provenance.pattern import COUNT, KEY, SIDE, lattice, patterns
from dagan.provenance.reading import DECODED, Candidate, Grey, Place, lattice_score, score_at
from dagan.provenance.watermark import STEP

FINE = 4  # shifts a cell
HALF = SIDE // 2  # cells a side at which the patterns are multiplied
WIDE = 2 * FINE  # steps of a shift in such a cell
SIZE_STEP = 0.005  # of a size: less than a shift's step at the rim
FRAMES = 8  # of the video that are looked at in a search
CROPPED = 0.13  # of the mark's square may have been cut off in each direction
REFINE = (2.0, 1.0, 0.5, 0.25)  # steps of the last approach, in eighths of a cell


class Window(NamedTuple):
    """Squares to try: of sizes from `least` to `most` pixels, at most `shift` of a size from the middle (x, y)."""

    x: float
    y: float
    least: float
    most: float
    shift: float


def cropped(width: int, height: int) -> Window:
    """The window for a video of which up to `CROPPED` was cut away."""
    side = max(width, height)
    return Window(width / 2, height / 2, side, side / (1 - CROPPED), CROPPED / 2)


def around(place: Place) -> Window:
    """The window for a square that is known roughly, as from the face that was found."""
    size = (place.width + place.height) / 2
    return Window(place.x + place.width / 2, place.y + place.height / 2, 0.92 * size, 1.09 * size, 0.06)


def searched(frames: Sequence[Grey], windows: Sequence[Window], key: bytes = KEY) -> list[Candidate]:
    """The most promising places in all windows, the best first, each moved to where it looks best."""
    few = frames[:: -(-len(frames) // FRAMES)]
    best = [one for window in windows for one in _best_of_sizes(few, window, key)]
    return [_refined(few, one, key) for one in sorted(best, reverse=True)[:DECODED]]


def _best_of_sizes(frames: Sequence[Grey], window: Window, key: bytes) -> Iterator[Candidate]:
    turns = lattice(key).turns
    for size in sizes(window):
        means, places = means_of_size(frames, window, size)
        scores = lattice_score(means * np.exp(-2j * np.pi * turns).astype(np.complex64))
        best = int(scores.argmax())
        yield Candidate(float(scores[best]), places[best], 1.0)


def sizes(window: Window) -> Float32[np.ndarray, " n"]:
    count = max(2, round(np.log(window.most / window.least) / SIZE_STEP) + 1)
    return np.geomspace(window.least, window.most, count, dtype=np.float32)


def means_of_size(frames: Sequence[Grey], window: Window, size: float) -> tuple[np.ndarray, list[Place]]:
    """The patterns' mean phases for all shifts of a square of this size, before a key's lattice, and where they are."""
    height, width = frames[0].shape
    unit = size / SIDE / FINE
    columns, rows = max(1, round(width / unit)), max(1, round(height / unit))
    across, down = width / columns, height / rows  # pixels a step
    reach = window.shift * SIDE * FINE
    left, right = _steps(window.x / across - SIDE * FINE / 2, reach)
    top, bottom = _steps(window.y / down - SIDE * FINE / 2, reach)
    total = np.zeros(((bottom - top + 1) * (right - left + 1), COUNT), np.complex64)
    half = _half_patterns()
    for frame in frames:
        wide = _wide_cells(np.asarray(Image.fromarray(frame).resize((columns, rows), Image.Resampling.BOX)), left, top)
        shifts = sliding_window_view(wide, ((HALF - 1) * WIDE + 1,) * 2)[: bottom - top + 1, : right - left + 1]
        cells = shifts[..., ::WIDE, ::WIDE].reshape(len(total), HALF * HALF)
        total += np.exp((2j * np.pi / STEP) * (cells @ half.T)).astype(np.complex64)
    places = [
        Place(x * across, y * down, SIDE * FINE * across, SIDE * FINE * down)
        for y in range(top, bottom + 1)
        for x in range(left, right + 1)
    ]
    return total / len(frames), places


def _steps(middle: float, reach: float) -> tuple[int, int]:
    return int(np.floor(middle - reach)), int(np.ceil(middle + reach))


def _wide_cells(steps: np.ndarray, left: int, top: int) -> Float32[np.ndarray, "rows columns"]:
    """The means of WIDE x WIDE steps from (left, top) on, which may lie before the frame."""
    span = 2 * SIDE * FINE + WIDE  # more than the furthest shift needs
    rows = np.clip(np.arange(top, top + span), 0, steps.shape[0] - 1)
    columns = np.clip(np.arange(left, left + span), 0, steps.shape[1] - 1)
    sums = np.pad(steps[np.ix_(rows, columns)].astype(np.float32), ((1, 0), (1, 0))).cumsum(0, np.float64).cumsum(1)
    means = (sums[WIDE:, WIDE:] - sums[:-WIDE, WIDE:] - sums[WIDE:, :-WIDE] + sums[:-WIDE, :-WIDE]) / WIDE**2
    return means.astype(np.float32)


def _half_patterns() -> Float32[np.ndarray, "144 1024"]:
    """The patterns on cells twice as large."""
    return patterns().reshape(COUNT, HALF, 2, HALF, 2).sum((2, 4)).reshape(COUNT, -1)


def _refined(frames: Sequence[Grey], candidate: Candidate, key: bytes) -> Candidate:
    """The candidate moved, and made larger or smaller, in ever finer steps as long as that looks better."""
    best = candidate._replace(score=score_at(frames, candidate.place, key))
    for step in REFINE:
        eighth = step * best.place.width / SIDE / 8
        for move in ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)):
            place = _moved(best.place, *(eighth * part for part in move))
            score = score_at(frames, place, key)
            if score > best.score:
                best = best._replace(score=score, place=place)
    return best


def _moved(place: Place, right: float, down: float, larger: float) -> Place:
    """Moved by so many pixels, and each side moved outwards by `larger`."""
    x, y, width, height = place
    return Place(x + right - larger, y + down - larger, width + 2 * larger, height + 2 * larger)
