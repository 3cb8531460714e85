"""Sums and counts over pairs: a mean with the number of failures, and how well a change follows the driver's.

Both can be merged, so that several processes can share one evaluation.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

EPS = 1e-12  # a smaller variance is rounding: a coefficient that never moves has no correlation


@dataclass
class Mean:
    """Mean over the pairs that could be measured, and the number of those that could not (no face found)."""

    total: float = 0.0
    count: int = 0
    num_missing: int = 0

    def add(self, value: float | None) -> None:
        """Takes the metric of one pair, or None for a pair that cannot be measured."""
        if value is None:
            self.num_missing += 1
        else:
            self.total += value
            self.count += 1

    def merge(self, other: "Mean") -> "Mean":
        """The accumulator of both sets of pairs."""
        return Mean(self.total + other.total, self.count + other.count, self.num_missing + other.num_missing)

    def compute(self) -> float | None:
        """The mean, or None when nothing was measured."""
        return self.total / self.count if self.count else None


class Change(NamedTuple):
    """How much one coefficient changed, in the driving video and in the generated image."""

    driving: float
    generated: float


@dataclass
class Correlation:
    """Pearson's correlation of the driver's and the result's changes of one coefficient.

    It asks neither for equal strength nor for equal resting faces: 1 = follows, 0 = does not. Changes lie in [-1, 1] or
    are degrees, so plain sums in float64 are exact enough.
    """

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
