"""AED of Table 2: average Euclidean distance of identity embeddings, squared. Accumulate with `Mean`."""

import numpy as np
from jaxtyping import Float


def aed(generated: Float[np.ndarray, " d"], driving: Float[np.ndarray, " d"]) -> float:
    """Squared Euclidean distance of two unit-length embeddings, 0 to 4; lower is better.

    Despite its name no root is taken, as in the script that made the published numbers. It is 2 - 2 x cosine.
    """
    return float(np.square(generated - driving).sum())
