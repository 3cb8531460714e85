"""AUCON of Tables 1, 3 and 4: agreement of facial action units. Accumulate with `Mean`."""

import numpy as np
from jaxtyping import Float


def aucon(
    generated: Float[np.ndarray, " u"], driving: Float[np.ndarray, " u"], thresholds: Float[np.ndarray, " u"]
) -> float:
    """Share of action units that are present in both images or in neither, 0 to 1; higher is better.

    A unit is present when its strength is above its threshold.
    """
    return float(((generated > thresholds) == (driving > thresholds)).mean())
