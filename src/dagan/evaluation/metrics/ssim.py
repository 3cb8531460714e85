"""SSIM of Table 1: structural similarity (Wang et al., 2004). Accumulate with `Mean`.

The loss of stage 1 (Eq. 5) uses another window, a 3x3 average; this is the one that papers report.
"""

import torch
from jaxtyping import Float
from torch import Tensor

WINDOW = 11  # pixels; window, sigma, K1 and K2 are those of Wang et al.
SIGMA = 1.5
C1, C2 = 0.01**2, 0.03**2  # (K L)^2 with data range L = 1


def ssim(generated: Float[Tensor, "b 3 h w"], driving: Float[Tensor, "b 3 h w"]) -> Float[Tensor, " b"]:
    """Structural similarity of each pair: Gaussian window, per colour channel, where the window fits in the image.

    Images in [0, 1] and at least 11 pixels high and wide; 1 for equal images, higher is better.
    """
    x, y = generated.double(), driving.double()  # variances are differences of nearly equal numbers
    maps = torch.stack([x, y, x * x, y * y, x * y])  # m b 3 h w
    blurred = _window(x.shape[2], x) @ maps @ _window(x.shape[3], x).T  # m b 3 h-10 w-10
    mean_x, mean_y, square_x, square_y, product = blurred.unbind()
    variance_x, variance_y = square_x - mean_x.square(), square_y - mean_y.square()
    covariance = product - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x.square() + mean_y.square() + C1)
    structure = (2 * covariance + C2) / (variance_x + variance_y + C2)
    return (luminance * structure).mean(dim=(1, 2, 3)).to(generated.dtype)


def _window(size: int, like: Tensor) -> Float[Tensor, "inner {size}"]:
    """The Gaussian average of each window that fits, as a matrix: on a CPU, a product beats a depthwise convolution."""
    place = torch.arange(size, dtype=like.dtype, device=like.device)
    centre = place[WINDOW // 2 : size - WINDOW // 2]
    distance = place - centre[:, None]  # inner size
    weight = torch.exp(-distance.square() / (2 * SIGMA**2)).where(distance.abs() <= WINDOW // 2, 0.0)
    return weight / weight.sum(dim=1, keepdim=True)
