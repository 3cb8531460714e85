"""The accumulator of every metric that is averaged over pairs: sums and counts, mergeable across processes."""

from dataclasses import dataclass


@dataclass
class Mean:
    """Mean over the pairs that could be measured, beside the number of those that could not (no face found)."""

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
