"""FID-style distance: how far apart two *sets* of images are.

The features are AlexNet's (`metrics/lpips.py`), which are at hand, not Inception's: its values cannot be set beside
published FIDs.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


def frechet_distance(
    mean_a: Float[np.ndarray, " d"],
    covariance_a: Float[np.ndarray, "d d"],
    mean_b: Float[np.ndarray, " d"],
    covariance_b: Float[np.ndarray, "d d"],
) -> float:
    """Squared Frechet distance of two Gaussians: |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)); lower is better."""
    root = _root(covariance_a)
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root @ covariance_b @ root), 0, None)).sum()
    distance = np.square(mean_a - mean_b).sum() + np.trace(covariance_a) + np.trace(covariance_b) - 2 * cross
    return max(float(distance), 0.0)  # rounding may leave a tiny negative number


def _root(covariance: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "d d"]:
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T)


@dataclass
class GaussianSums:
    """Sums over feature vectors, from which a Gaussian follows; mergeable across processes."""

    count: int
    total: Float[np.ndarray, " d"]
    product: Float[np.ndarray, "d d"]

    @classmethod
    def of(cls, features: Float[np.ndarray, "n d"]) -> "GaussianSums":
        """The sums of these vectors, in float64."""
        wide = features.astype(np.float64)
        return cls(len(wide), wide.sum(axis=0), wide.T @ wide)

    def merge(self, other: "GaussianSums") -> "GaussianSums":
        """The accumulator of both sets."""
        return GaussianSums(self.count + other.count, self.total + other.total, self.product + other.product)

    def distance(self, other: "GaussianSums") -> float | None:
        """Frechet distance between the two sets; None below two images. It falls with the number of images, so only
        sets of equal size compare."""
        if min(self.count, other.count) < 2:
            return None
        return frechet_distance(*self._gaussian(), *other._gaussian())

    def _gaussian(self) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, "d d"]]:
        mean = self.total / self.count
        return mean, (self.product - self.count * np.outer(mean, mean)) / (self.count - 1)
