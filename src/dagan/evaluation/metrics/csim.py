"""CSIM of Tables 1, 3 and 4: identity kept, against the *source* image. Accumulate with `Mean`."""

import numpy as np
from jaxtyping import Float


def csim(generated: Float[np.ndarray, " d"], source: Float[np.ndarray, " d"]) -> float:
    """Cosine of two identity embeddings, -1 to 1; higher is better."""
    return float(generated @ source / (np.linalg.norm(generated) * np.linalg.norm(source)))
