"""Where a video cuts from one shot to another: by how far colour histograms of neighbouring frames differ."""

from array import array
from collections import deque

import numpy as np
from jaxtyping import Float, UInt8

Signature = Float[np.ndarray, " n"]
GRID = 64  # pixels that are looked at along the longer side
BINS = 16  # of each colour, in each quarter of the frame
CUT = 0.12  # least difference of two frames with a cut between them; at most 0.09 within clips without one
STANDS_OUT = 3.0  # times the usual difference around: a fast pan or a shaking camera differs in all of its frames
AROUND = 8  # frames before and after, for the usual difference
BEFORE, AFTER = 2, 3  # frames about a cut which differ as well: those about a flash do not
AGAIN = 0.6  # of CUT: how far those two differ at least


def signature(frame: UInt8[np.ndarray, "h w 3"]) -> Signature:
    """The colours of a frame's four quarters as histograms, each quarter's of sum 1."""
    step = max(1, max(frame.shape[:2]) // GRID)
    small = frame[::step, ::step]
    rows, columns = small.shape[0] // 2, small.shape[1] // 2
    quarters = (small[:rows, :columns], small[:rows, columns:], small[rows:, :columns], small[rows:, columns:])
    return np.concatenate([_histogram(quarter) for quarter in quarters])


def _histogram(part: UInt8[np.ndarray, "_h _w 3"]) -> Signature:
    levels = part.reshape(-1, 3).astype(np.int32) * BINS // 256 + np.arange(3) * BINS
    counts = np.bincount(levels.ravel(), minlength=3 * BINS)
    return (counts / max(levels.size, 1)).astype(np.float32)


def difference(a: Signature, b: Signature) -> float:
    """0 for equal colours, 1 for frames that share none. A neighbouring bin counts half: light flickers."""
    apart = np.abs((a - b).reshape(-1, BINS).cumsum(1)).sum() / 8  # earth mover's distance in bins, 4 quarters
    return float(min(1.0, apart, np.abs(a - b).sum() / 8))


class ShotFinder:
    """Takes frames one by one; says of each, some frames later, whether a new shot begins with it.

    `cuts` are the numbers of those frames so far; all before `decided` are known.
    """

    def __init__(self) -> None:
        self.cuts: list[int] = []
        self.decided = 0
        self._seen: deque[Signature] = deque(maxlen=BEFORE + AROUND + AFTER)
        self._steps = array("f")  # how far each frame differs from the one before

    def add(self, frame: UInt8[np.ndarray, "h w 3"]) -> None:
        """The next frame."""
        seen = signature(frame)
        self._steps.append(difference(seen, self._seen[-1]) if self._seen else 0.0)
        self._seen.append(seen)
        if len(self._steps) > AROUND:
            self._decide()

    def finish(self) -> None:
        """After the last frame: decides the rest."""
        while self.decided < len(self._steps):
            self._decide()

    def _decide(self) -> None:
        number = self.decided
        self.decided += 1
        step = self._steps[number]
        if number == 0 or step < CUT:
            return
        start = max(1, number - AROUND)
        others = [*self._steps[start:number], *self._steps[number + 1 : number + 1 + AROUND]]
        if step >= STANDS_OUT * float(np.median(others or [0.0])) and self._differ(number):
            self.cuts.append(number)

    def _differ(self, number: int) -> bool:
        """Whether the frames a little before and after differ, too."""
        first = len(self._steps) - len(self._seen)
        before, after = max(number - BEFORE, first, 0), min(number + AFTER, len(self._steps) - 1)
        return difference(self._seen[before - first], self._seen[after - first]) >= AGAIN * CUT
