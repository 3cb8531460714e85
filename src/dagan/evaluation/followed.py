"""What follows the driver: correlations of changes with their intervals, by one observer or by two side by side."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from dagan.evaluation.markdown import ABSENT, interval_text, number
from dagan.evaluation.metrics.accumulators import EPS, Change, Correlation
from dagan.evaluation.records import FOLLOWED, SHAPES, Sample
from dagan.evaluation.tally import FEWEST_PEOPLE, LEVEL, NUM_DRAWS, SEED, Interval


class Correlated(NamedTuple):
    """A correlation of changes, its bootstrap interval, and how many pairs gave it and did not."""

    value: float | None
    interval: Interval | None
    num_pairs: int
    num_missing: int


Changes = Sequence[tuple[str, Change | None]]  # with the driving person; None: a face is missing


def correlated(changes: Changes) -> Correlated:
    """Pearson's correlation of the driver's and the result's changes, people drawn whole for the interval."""
    whole = Correlation()
    for _, change in changes:
        whole.add(change)
    (drawn,) = drawn_correlations([changes])
    return Correlated(whole.compute(), middle(drawn), whole.count, whole.num_missing)


def drawn_correlations(runs: Sequence[Changes], seed: int = SEED) -> list[Float[np.ndarray, " _draws"]]:
    """The bootstrap's correlations of each run, all runs by the same draws: those of equal pairs can be subtracted.

    NaN where a draw has no variation.
    """
    people = sorted({person for person, _ in runs[0]})
    by_person = len(people) >= FEWEST_PEOPLE
    place = {person: index for index, person in enumerate(people)}
    groups = [place[person] if by_person else index for index, (person, _) in enumerate(runs[0])]
    count = len(people) if by_person else len(groups)
    if count < 2:
        return [np.zeros(0) for _ in runs]
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), NUM_DRAWS)
    found = []
    for changes in runs:
        sums = np.zeros((count, 6))
        for group, (_, change) in zip(groups, changes, strict=True):
            if change is not None:
                x, y = change
                sums[group] += (1, x, y, x * x, y * y, x * y)
        found.append(_correlations(drawn @ sums))
    return found


def _correlations(sums: Float[np.ndarray, "draws 6"]) -> Float[np.ndarray, " draws"]:
    """Of sums 1, x, y, xx, yy, xy."""
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y, xx, yy, xy = (sums[:, 1:] / sums[:, :1]).T
        variances = np.minimum(xx - x * x, yy - y * y)
        value = (xy - x * y) / np.sqrt((xx - x * x) * (yy - y * y))
    return np.where(variances > EPS, value, np.nan)


def middle(drawn: Float[np.ndarray, " draws"]) -> Interval | None:
    """The middle 95 % of the draws that have a value; None if there are none."""
    seen = drawn[np.isfinite(drawn)]
    if not len(seen):
        return None
    low, high = np.quantile(seen, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return Interval(low, high)


class Followed(NamedTuple):
    """How well one quantity follows the driver, by the face observer and by a second one; `agreement` is the
    correlation of what the two see the driver do."""

    name: str
    first: Correlated
    second: Correlated | None = None
    agreement: float | None = None


def followed_in(samples: Sequence[Sample]) -> list[Followed]:
    """Every quantity: expression and yaw by the face observer, then what both observers see in the 68 landmarks."""
    rows = [Followed(name, correlated(changes)) for name, changes in changes_of(samples, FOLLOWED, "following").items()]
    first, second = (changes_of(samples, SHAPES, field) for field in ("shape", "second_shape"))
    for name, changes in first.items():
        if any(change is not None for _, change in changes):
            rows.append(_by_both(name, changes, second[name]))
    return rows


def changes_of(
    samples: Sequence[Sample], quantities: Sequence[tuple[str, Callable[[Any], Change]]], field: str
) -> dict[str, Changes]:
    """By quantity the change of every pair in a field of its record, with the person who drives."""
    found = [(sample.driving.identity, getattr(sample, field)) for sample in samples]
    return {name: [(person, of(seen) if seen else None) for person, seen in found] for name, of in quantities}


def _by_both(name: str, first: Changes, second: Changes) -> Followed:
    if not any(change is not None for _, change in second):
        return Followed(name, correlated(first))
    agreement = Correlation()
    for (_, a), (_, b) in zip(first, second, strict=True):
        agreement.add(Change(a.driving, b.driving) if a is not None and b is not None else None)
    return Followed(name, correlated(first), correlated(second), agreement.compute())


def followed_heads(rows: Sequence[Followed]) -> list[str]:
    """The heads of the table of what follows the driver."""
    heads = ["quantity", "face observer", "95 % interval", "pairs"]
    second = ["second observer", "95 % interval", "pairs", "observers agree on the driver"]
    return heads + (second if any(row.second is not None for row in rows) else [])


def followed_rows(rows: Sequence[Followed]) -> list[list[str]]:
    """Its rows."""
    width = len(followed_heads(rows))
    filled = []
    for row in rows:
        texts = [row.name, *_texts(row.first)]
        if row.second is not None:
            texts += [*_texts(row.second), number(row.agreement, 2)]
        filled.append(texts + [ABSENT] * (width - len(texts)))
    return filled


def _texts(found: Correlated) -> list[str]:
    return [number(found.value, 2), interval_text(found.interval, 2), str(found.num_pairs)]
