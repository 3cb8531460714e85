"""Landmark distance: how far facial landmarks of the generated image are from the driving ones. Accumulate with `Mean`.

The published AKD ("average keypoint distance", Table 2) is a sibling, not this number: it averages the absolute
difference of single coordinates over 68 landmarks of another network, so it is smaller and cannot be set beside it.
"""

import numpy as np
from jaxtyping import Float


def landmark_distance(generated: Float[np.ndarray, "n d"], driving: Float[np.ndarray, "n d"]) -> float:
    """Mean Euclidean distance of corresponding landmarks in the image, in the unit given (pixels); lower is better.

    Only x and y count: the third coordinate of a landmark, if there is one, is a guess of depth.
    """
    return float(np.linalg.norm(generated[:, :2] - driving[:, :2], axis=1).mean())
