"""AKD of Table 2: average keypoint distance. Accumulate with `Mean`."""

import numpy as np
from jaxtyping import Float

REFERENCE_SIDE = 256  # pixels: the size of the paper's images, to which the unit belongs


def akd(generated: Float[np.ndarray, "n d"], driving: Float[np.ndarray, "n d"], side: int = REFERENCE_SIDE) -> float:
    """Mean absolute difference of single coordinates of corresponding landmarks; lower is better.

    Landmarks are in pixels of images `side` pixels wide; the result is in pixels at 256 x 256. Only x and y count.
    """
    difference = np.abs(generated[:, :2] - driving[:, :2]).mean()
    return float(difference) * REFERENCE_SIDE / side
