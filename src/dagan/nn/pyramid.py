"""Image pyramids for losses on several scales (Sec. A.1)."""

from collections.abc import Callable, Sequence

from jaxtyping import Float
from torch import Tensor, nn

from dagan.nn.blocks import AntiAliasDown

PAPER_SCALES = (1.0, 0.5, 0.25, 0.125)  # 256, 128, 64 and 32 px


class ImagePyramid(nn.Module):
    """An image at each scale, anti-aliased, finest first; `down` is `AntiAliasDown` or `ReleasedDown`."""

    def __init__(self, scales: Sequence[float] = PAPER_SCALES, down: Callable[[float], nn.Module] = AntiAliasDown):
        super().__init__()
        self.levels = nn.ModuleList(down(scale) for scale in scales)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b 3 _h _w"]]:
        return [level(image) for level in self.levels]
