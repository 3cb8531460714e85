"""Expression follows: does the result change its expression, from the source's, as the driver differs from the source?

Correlation over pairs of the driver's and the result's change of one expression coefficient. It asks for neither the
same strength nor the same resting face; 1 = follows, 0 = does not, None = nothing moved or too few pairs.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

EPS = 1e-12  # variances below it are rounding: a coefficient that never moves has no correlation


class Change(NamedTuple):
    """One coefficient's change from the source, in the driving and in the generated image."""

    driving: float
    generated: float


def correlation(changes: list[Change]) -> float | None:
    """Pearson's correlation of the driver's and the result's changes."""
    accumulator = Correlation()
    for change in changes:
        accumulator.add(change)
    return accumulator.compute()


@dataclass
class Correlation:
    """Sums for Pearson's correlation: changes lie in [-1, 1], so plain sums in float64 keep their digits."""

    count: int = 0
    num_missing: int = 0
    sum_driving: float = 0.0
    sum_generated: float = 0.0
    sum_driving_squared: float = 0.0
    sum_generated_squared: float = 0.0
    sum_product: float = 0.0

    def add(self, change: Change | None) -> None:
        """Takes one pair's change, or None for a pair with a face missing."""
        if change is None:
            self.num_missing += 1
            return
        x, y = change
        self.count += 1
        self.sum_driving += x
        self.sum_generated += y
        self.sum_driving_squared += x * x
        self.sum_generated_squared += y * y
        self.sum_product += x * y

    def merge(self, other: "Correlation") -> "Correlation":
        """The accumulator of both sets of pairs."""
        return Correlation(**{name: value + getattr(other, name) for name, value in vars(self).items()})

    def compute(self) -> float | None:
        """Pearson's correlation in [-1, 1], or None when fewer than two pairs or no variation."""
        if self.count < 2:
            return None
        mean_x, mean_y = self.sum_driving / self.count, self.sum_generated / self.count
        variance_x = self.sum_driving_squared / self.count - mean_x**2
        variance_y = self.sum_generated_squared / self.count - mean_y**2
        if min(variance_x, variance_y) < EPS:
            return None
        return (self.sum_product / self.count - mean_x * mean_y) / math.sqrt(variance_x * variance_y)
