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

from dagan.data.landmarks import EXPRESSIONS, GUIDED_LANDMARKS
from dagan.geometry.face_motion import IRISES, MEAN_FACE
from dagan.geometry.registration import affine_flow
from dagan.models.blendshapes import BlendshapeNet
from dagan.models.face_mesh import SIDE, FaceMeshNet


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
        self.register_buffer("guided", torch.tensor(GUIDED_LANDMARKS), persistent=False)
        self.register_buffer("named", torch.tensor(list(EXPRESSIONS.values())), persistent=False)
        self.requires_grad_(False)

    def extra_repr(self) -> str:
        return f"margin={self.margin}"  # what engines keep goes by it, too

    @torch.no_grad()
    def forward(
        self, image: Float[Tensor, "b 3 h w"], points: Float[Tensor, "b k 2"]
    ) -> tuple[Float[Tensor, "b n 2"], Float[Tensor, "b e"]]:
        """`GUIDED_LANDMARKS` in [-1, 1] and `EXPRESSIONS` in [0, 1] of the face with its landmarks near `points`, which
        begin with the guided ones. Float32, also under autocast, which is too coarse for a place."""
        with torch.autocast(image.device.type, enabled=False):
            square = upright_square(points[:, : len(MEAN_FACE)].float(), self.margin)
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
