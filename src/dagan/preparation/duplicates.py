"""The same content twice: clips of one person whose faces move alike, whatever size, crop or encoding they have."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Float

from dagan.preparation.rows import Row

RATE = 12.5  # steps a second at which faces are compared
ALIKE = 0.75  # least correlation of two clips' expressions at the best shift
LEAST_SHARED = 1.5  # seconds that both show
Expressions = Float[np.ndarray, "_t e"]


def find_duplicates(
    rows: Sequence[Row], people: Mapping[str, str], shapes: Mapping[str, Expressions]
) -> dict[str, str]:
    """For each clip whose content another one has, the name of that one: the one with the larger face stays.

    `shapes`: blendshapes of each clip's frames. Clips of one track are not compared: they follow each other.
    """
    by_person: dict[str, list[Row]] = {}
    for row in rows:
        by_person.setdefault(people[row.name], []).append(row)
    found: dict[str, str] = {}
    for group in by_person.values():
        ordered = sorted(group, key=lambda row: (-(row.face or 0.0), row.name))
        signals = {row.name: _signal(shapes[row.name], row) for row in ordered if row.name in shapes}
        for better, other in combinations([row for row in ordered if row.name in signals], 2):
            if {better.name, other.name} & set(found) or (better.source, better.track) == (other.source, other.track):
                continue
            if _likeness(signals[better.name], signals[other.name]) >= ALIKE:
                found[other.name] = better.name
    return found


def _signal(shapes: Expressions, row: Row) -> Expressions:
    """Expressions at an even rate."""
    length = len(shapes) / max(row.rate, 1e-6)
    times = np.arange(0, length, 1 / RATE)
    frames = np.clip((times * row.rate).round().astype(int), 0, len(shapes) - 1)
    signal: Expressions = shapes[frames].astype(np.float32)
    return signal


def _likeness(a: Expressions, b: Expressions) -> float:
    """The correlation of what both show, at the shift where it is greatest."""
    least = round(LEAST_SHARED * RATE)
    best = -1.0
    for shift in range(least - len(b), len(a) - least + 1):
        first, second = a[max(shift, 0) :], b[max(-shift, 0) :]
        count = min(len(first), len(second))
        x, y = (part[:count] - part[:count].mean(0) for part in (first, second))
        norm = float(np.linalg.norm(x) * np.linalg.norm(y))
        best = max(best, float((x * y).sum()) / norm if norm > 1e-6 else -1.0)
    return best
