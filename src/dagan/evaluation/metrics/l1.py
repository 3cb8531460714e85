"""L1 of Table 2: mean absolute difference of generated and driving image. Accumulate with `Mean`."""

from jaxtyping import Float
from torch import Tensor


def l1(generated: Float[Tensor, "b 3 h w"], driving: Float[Tensor, "b 3 h w"]) -> Float[Tensor, " b"]:
    """Mean absolute difference of each pair over pixels and channels; images in [0, 1], lower is better."""
    return (generated - driving).abs().mean(dim=(1, 2, 3))
