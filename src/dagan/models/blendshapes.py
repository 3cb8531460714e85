"""BlendshapeNet: ARKit's expression coefficients from landmarks of a face (not in the paper; docs/decisions.md).

MediaPipe's Blendshape V2, an MLP-Mixer (Apache-2.0), in PyTorch, with its published weights:
`scripts/convert_face_landmarker.py`.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

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
        """Coefficients in [0, 1], in the order of `evaluation.observers.BLENDSHAPE_NAMES`."""
        seen = landmarks[:, self.seen]
        seen = seen - seen.mean(1, keepdim=True)
        distance = seen.square().sum(2, keepdim=True).sqrt().mean(1, keepdim=True).clamp_min(EPS)
        tokens = self.lift(self.gather((SCALE * seen / distance).mT).mT)
        mixed = self.blocks(torch.cat([self.extra.expand(len(tokens), -1, -1), tokens], 1))
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
