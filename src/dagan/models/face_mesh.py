"""FaceMeshNet: 478 landmarks of a face that fills an upright square image (not in the paper; docs/decisions.md).

MediaPipe's Face Mesh V2 (Apache-2.0) in PyTorch, with its published weights: `scripts/convert_face_landmarker.py`.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

SIDE = 256  # pixels of the image that it takes
NUM_LANDMARKS = 478  # 468 of the mesh and 5 of each iris
BLOCKS = 4  # residual blocks of each size
STEM, WIDTHS = 16, (32, 64, 128, 128, 128, 128)


class FaceMeshNet(nn.Module):
    """Six times halved, from 128 to 2 pixels a side."""

    def __init__(self) -> None:
        super().__init__()
        # TensorFlow pads an even image at its end alone.
        self.stem = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, STEM, 3, stride=2), nn.PReLU(STEM))
        blocks: list[nn.Module] = [MeshBlock(STEM, STEM // 2) for _ in range(BLOCKS)]
        channels = STEM
        for width in WIDTHS:
            blocks += [HalvingBlock(channels, width), *(MeshBlock(width, width // 2) for _ in range(BLOCKS))]
            channels = width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Conv2d(channels, 3 * NUM_LANDMARKS, 2)

    def forward(self, image: Float[Tensor, "b 3 256 256"]) -> Float[Tensor, "b 478 2"]:
        """Landmarks of an image in [0, 1], in [-1, 1]."""
        found: Tensor = self.head(self.blocks(self.stem(image)))
        return found.view(-1, NUM_LANDMARKS, 3)[..., :2] * (2 / SIDE) - 1


class MeshBlock(nn.Module):
    """A residual block with a depthwise convolution between fewer channels."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.squeeze = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.PReLU(hidden))
        self.spread = _spread(hidden, channels)
        self.activation = nn.PReLU(channels)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        active: Tensor = self.activation(x + self.spread(self.squeeze(x)))
        return active


class HalvingBlock(nn.Module):
    """As `MeshBlock`, to half the size; channels that are new begin with zeros."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        hidden = width // 2
        self.num_new = width - channels
        self.squeeze = nn.Sequential(nn.Conv2d(channels, hidden, 2, stride=2), nn.PReLU(hidden))
        self.spread = _spread(hidden, width)
        self.activation = nn.PReLU(width)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        smaller = F.pad(F.max_pool2d(x, 2), (0, 0, 0, 0, 0, self.num_new))
        active: Tensor = self.activation(smaller + self.spread(self.squeeze(x)))
        return active


def _spread(hidden: int, width: int) -> nn.Sequential:
    apart = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden, bias=False)
    return nn.Sequential(apart, nn.Conv2d(hidden, width, 1))
