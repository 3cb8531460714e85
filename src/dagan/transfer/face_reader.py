"""FaceReader: what a driver's face does, seen in the image (not in the paper; docs/decisions.md).

The keypoint detector is taught to find where the generator's points are; of people whom it has never seen it tells
little about how far a jaw has dropped. MediaPipe's networks were taught that on very many people, and may be bundled
(Apache-2.0), so they look at driver and source beside the detector, which shows them where the face is.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from dagan.face import EXPRESSION_INDICES, IRISES, MESH_INDICES, NUM_LANDMARKS, NUM_MESH_POINTS
from dagan.geometry.registration import affine_flow

SIDE = 256  # pixels of the image that it takes
BLOCKS = 4  # residual blocks of each size
STEM, WIDTHS = 16, (32, 64, 128, 128, 128, 128)
NUM_COEFFICIENTS = 52
# The landmarks that it looks at, of the mesh's 478.
SEEN = (
    *(0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80),
    *(81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153),
    *(154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249),
    *(251, 263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314),
    *(317, 318, 321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382),
    *(384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473),
    *(474, 475, 476, 477),
)
TOKENS, WIDTH, NUM_BLOCKS = 96, 64, 4
HIDDEN_TOKENS, HIDDEN_WIDTH = 384, 256
SCALE = 0.5  # mean distance of the landmarks from their middle, as it was trained
EPS = 1e-6


@dataclass(frozen=True, kw_only=True)
class FaceReaderConfig:
    """`margin`: the square that is looked at, in sizes of the landmarks' own square (docs/decisions.md)."""

    margin: float = 1.4

    def build(self) -> "FaceReader":
        return FaceReader(self.margin)


class FaceReader(nn.Module):
    """Landmarks and expression of a face whose place is nearly known. It is not trained here: no gradient goes in."""

    guided: Int[Tensor, " n"]
    named: Int[Tensor, " e"]

    def __init__(self, margin: float) -> None:
        super().__init__()
        self.margin = margin
        self.mesh = FaceMeshNet()
        self.blendshapes = BlendshapeNet()
        self.register_buffer("guided", torch.tensor(MESH_INDICES), persistent=False)
        self.register_buffer("named", torch.tensor(EXPRESSION_INDICES), persistent=False)
        self.requires_grad_(False)

    def extra_repr(self) -> str:
        return f"margin={self.margin}"  # what engines keep goes by it, too

    @torch.no_grad()
    def forward(
        self, image: Float[Tensor, "b 3 h w"], points: Float[Tensor, "b k 2"]
    ) -> tuple[Float[Tensor, "b n 2"], Float[Tensor, "b e"]]:
        """`MESH_INDICES` in [-1, 1] and `EXPRESSIONS` in [0, 1] of the face with its landmarks near `points`, which
        begin with the guided ones. Float32, also under autocast, which is too coarse for a place."""
        with torch.autocast(image.device.type, enabled=False):
            square = upright_square(points[:, :NUM_LANDMARKS].float(), self.margin)
            seen = F.grid_sample(
                image.float(), affine_flow(square, SIDE, SIDE), padding_mode="border", align_corners=False
            )
            mesh = self.mesh(seen) @ square[:, :, :2].mT + square[:, None, :, 2]
            expression = self.blendshapes(mesh)
        return mesh[:, self.guided], expression[:, self.named]


def upright_square(points: Float[Tensor, "b n 2"], margin: float) -> Float[Tensor, "b 2 3"]:
    """The square about a face's landmarks in which its eyes are level, as the map [A t] from its coordinates to the
    image's, both in [-1, 1]. `margin`: its side in sizes of the smallest such square."""
    left, right = (points[:, eye] for eye in IRISES)
    cos, sin = F.normalize(right - left, dim=1).unbind(1)
    turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    level = points @ turn
    low, high = level.amin(1), level.amax(1)
    half = margin / 2 * (high - low).amax(1)
    middle = turn @ ((low + high) / 2)[..., None]
    return torch.cat([half[:, None, None] * turn, middle], 2)


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
        self.head = nn.Conv2d(channels, 3 * NUM_MESH_POINTS, 2)

    def forward(self, image: Float[Tensor, "b 3 256 256"]) -> Float[Tensor, "b 478 2"]:
        """Landmarks of an image in [0, 1], in [-1, 1]."""
        found: Tensor = self.head(self.blocks(self.stem(image)))
        return found.view(-1, NUM_MESH_POINTS, 3)[..., :2] * (2 / SIDE) - 1


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


class BlendshapeNet(nn.Module):
    """Which size and place the face has makes no difference; how it is turned in the image does, a little."""

    seen: Int[Tensor, " s"]

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.tensor(SEEN), persistent=False)
        self.gather = nn.Linear(len(SEEN), TOKENS)
        self.lift = nn.Linear(2, WIDTH)
        self.extra = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.blocks = nn.Sequential(*(MixerBlock(1 + TOKENS, WIDTH) for _ in range(NUM_BLOCKS)))
        self.head = nn.Linear(WIDTH, NUM_COEFFICIENTS)

    def forward(self, landmarks: Float[Tensor, "b 478 2"]) -> Float[Tensor, "b 52"]:
        """Coefficients in [0, 1], in the order of `observers.BLENDSHAPE_NAMES`."""
        seen = landmarks[:, self.seen]
        seen = seen - seen.mean(1, keepdim=True)
        distance = seen.square().sum(2, keepdim=True).sqrt().mean(1, keepdim=True).clamp_min(EPS)
        tokens = self.lift(self.gather((SCALE * seen / distance).mT).mT)
        mixed = self.blocks(torch.cat([self.extra.expand(tokens.shape[0], -1, -1), tokens], 1))
        return torch.sigmoid(self.head(mixed[:, 0]))


class MixerBlock(nn.Module):
    """Tokens mixed, then channels (MLP-Mixer, Tolstikhin et al. 2021)."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.token_norm = nn.LayerNorm(width, eps=EPS, bias=False)
        self.token_mix = _mlp(tokens, HIDDEN_TOKENS)
        self.channel_norm = nn.LayerNorm(width, eps=EPS, bias=False)
        self.channel_mix = _mlp(width, HIDDEN_WIDTH)

    def forward(self, x: Float[Tensor, "b t c"]) -> Float[Tensor, "b t c"]:
        x = x + self.token_mix(self.token_norm(x).mT).mT
        mixed: Tensor = x + self.channel_mix(self.channel_norm(x))
        return mixed


def _mlp(width: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))
