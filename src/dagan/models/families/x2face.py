"""X2Face (Wiles, Koepke, Zisserman, ECCV 2018): an embedding network warps each source frame to a learned, roughly
frontal face; a driving network turns a frame into a vector, and the vector into a flow that samples that face.

Every pixel of a picture is a pixel of a source: nothing is painted. There are no keypoints, so losses of keypoints do
not apply. Several source frames of one person can be joined (`X2Face.joined`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from dagan.errors import UserError
from dagan.geometry.grid import corner_grid
from dagan.geometry.warp import PIXELS
from dagan.models.family import Family
from dagan.types import CodeView, Rendering

SLOPE = 0.2  # of the leaky ReLUs on the way down
LEAST_CONFIDENCE = 0.1
NUM_BLOCKS = 8  # levels of a network for images of 256 pixels: 1x1 at the bottom


class DrivingVector(NamedTuple):
    """What a driving frame gives: the bottleneck of the driving network, before its ReLU."""

    vector: Float[Tensor, "b c"]

    def named(self) -> dict[str, Tensor]:
        return self._asdict()

    def each(self, change: Callable[[Tensor], Tensor]) -> "DrivingVector":
        return DrivingVector(change(self.vector))

    def drawn(self) -> dict[str, Tensor]:
        return self._asdict()


class EmbeddedFace(NamedTuple):
    """A source warped to the embedded face, where each of its pixels comes from, and how sure the network is."""

    face: Float[Tensor, "b 3 h w"]
    flow: Float[Tensor, "b h w 2"]
    confidence: Float[Tensor, "b 1 h w"]


@dataclass(frozen=True, kw_only=True)
class X2FaceConfig:
    """The published sizes: two U-Nets of eight levels from width 64, a driving vector of 128 numbers.

    `padding`: what lies outside of the images that are sampled: black, as published, or the border, repeated.
    `num_levels`: halvings; images must be of 2^num_levels pixels or a multiple.
    """

    width: int = 64
    cap: int = 512
    num_levels: int = NUM_BLOCKS
    vector: int = 128
    padding: Literal["zeros", "border"] = "border"

    def build(self) -> "X2Face":
        return X2Face(self)


def sample(image: Tensor, flow: Float[Tensor, "b h w 2"], padding: str) -> Tensor:
    """The image at positions whose -1 and +1 are the centres of the outermost pixels."""
    with torch.autocast(image.device.type, enabled=False):
        return F.grid_sample(image.float(), flow.float(), padding_mode=padding, align_corners=True)


class Down(nn.Module):
    """Leaky ReLU (not of an image), convolution 4x4 of stride 2, batch norm (optional)."""

    def __init__(self, in_channels: int, out_channels: int, *, first: bool, normalised: bool):
        super().__init__()
        self.activation = nn.Identity() if first else nn.LeakyReLU(SLOPE)
        self.conv = nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels) if normalised else nn.Identity()

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        halved: Tensor = self.norm(self.conv(self.activation(x)))
        return halved


class Up(nn.Module):
    """ReLU, bilinear enlargement by 2, convolution 3x3, batch norm (optional)."""

    def __init__(self, in_channels: int, out_channels: int, *, normalised: bool):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels) if normalised else nn.Identity()

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        enlarged = F.interpolate(F.relu(x), scale_factor=2, mode="bilinear", align_corners=True)
        doubled: Tensor = self.norm(self.conv(enlarged))
        return doubled


class Descent(nn.Module):
    """The way down of a U-Net: what each level gives, the bottleneck last."""

    def __init__(self, config: X2FaceConfig, bottleneck: int):
        super().__init__()
        widths = [3, *_widths(config), bottleneck]
        last = config.num_levels - 1
        self.levels = nn.ModuleList(
            Down(widths[i], widths[i + 1], first=i == 0, normalised=0 < i < last) for i in range(config.num_levels)
        )

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        features = []
        for level in self.levels:
            image = level(image)
            features.append(image)
        return features


class Ascent(nn.Module):
    """The way up; `joined`: each level also sees, after its leaky ReLU, what the way down had at its size."""

    def __init__(self, config: X2FaceConfig, bottleneck: int, out_channels: int, *, joined: bool):
        super().__init__()
        self.joined = joined
        widths = _widths(config)
        channels = bottleneck
        self.levels = nn.ModuleList()
        for width in reversed(widths):
            self.levels.append(Up(channels, width, normalised=True))
            channels = 2 * width if joined else width
        self.levels.append(Up(channels, out_channels, normalised=False))

    def forward(self, bottleneck: Tensor, skips: Sequence[Tensor] = ()) -> Float[Tensor, "b d h w"]:
        x: Tensor = self.levels[0](bottleneck)
        for level, skip in zip(self.levels[1:], reversed(skips), strict=True):
            x = level(torch.cat([x, F.leaky_relu(skip, SLOPE)], dim=1))
        return x


class AscentAlone(Ascent):
    """The way up of a network without skips: everything passes through the bottleneck."""

    def __init__(self, config: X2FaceConfig, bottleneck: int, out_channels: int):
        super().__init__(config, bottleneck, out_channels, joined=False)

    def forward(self, bottleneck: Tensor, skips: Sequence[Tensor] = ()) -> Float[Tensor, "b d h w"]:
        for level in self.levels:
            bottleneck = level(bottleneck)
        return bottleneck


def _widths(config: X2FaceConfig) -> list[int]:
    """Channels of all levels but the bottleneck."""
    return [min(config.cap, config.width * 2**i) for i in range(config.num_levels - 1)]


class EmbeddingNet(nn.Module):
    """Source image to the embedded face: a U-Net with skips gives a shift of each pixel, and a confidence."""

    def __init__(self, config: X2FaceConfig):
        super().__init__()
        bottleneck = min(config.cap, config.width * 2 ** (config.num_levels - 1))
        self.padding = config.padding
        self.down = Descent(config, bottleneck)
        self.up = Ascent(config, bottleneck, 3, joined=True)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> EmbeddedFace:
        predicted = self.predict(image)
        flow = moved_grid(predicted[:, :2])
        return EmbeddedFace(sample(image, flow, self.padding), flow, predicted[:, 2:].exp() + LEAST_CONFIDENCE)

    def predict(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """Shift (x, y) before its tanh, and the logarithm of the confidence."""
        *skips, bottleneck = self.down(image)
        raw: Tensor = self.up(bottleneck, skips)
        return raw.float()


class DrivingNet(nn.Module):
    """Driving image to a vector, and a vector to the flow that samples an embedded face."""

    def __init__(self, config: X2FaceConfig):
        super().__init__()
        self.down = Descent(config, config.vector)
        self.up = AscentAlone(config, config.vector, 2)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c _h _w"]:
        bottleneck: Tensor = self.down(image)[-1]
        return bottleneck.float()

    def shifts(self, vector: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 2 h2 w2"]:
        """As the network ends: within [-1, 1]."""
        return torch.tanh(self.up(vector).float())


def moved_grid(shift: Float[Tensor, "b 2 h w"]) -> Float[Tensor, "b h w 2"]:
    """The grid of pixels, each moved by the tanh of its shift."""
    grid = corner_grid(shift.shape[2], shift.shape[3], shift)
    return grid + rearrange(torch.tanh(shift), "b d h w -> b h w d")


class X2Face(Family):
    """The whole model. The driving code is `DrivingVector`; relative motion adds the driver's change to the source's
    vector, which nobody has published: absolute motion is the paper's."""

    def __init__(self, config: X2FaceConfig):
        super().__init__()
        self.config, self.pixels = config, PIXELS["corners"]
        self.embedding = EmbeddingNet(config)
        self.driving = DrivingNet(config)
        self.apply(_initialise)

    def watching(self) -> list[nn.Module]:
        return [self.driving.down]

    def view(self, image: Float[Tensor, "b 3 h w"]) -> CodeView:
        self._check(image)
        return CodeView(image, DrivingVector(self.driving(image).flatten(1)))

    def encode(self, view: CodeView) -> CodeView:
        return view._replace(appearance=self.embedding(view.image))

    def joined(self, views: Sequence[CodeView]) -> CodeView:
        """Several encoded images of one person as one source: their embedded faces averaged by confidence."""
        faces = [view.appearance for view in views]
        total = torch.stack([face.confidence for face in faces]).sum(0)

        def mean(parts: list[Tensor]) -> Tensor:
            weighted = [face.confidence * part for face, part in zip(faces, parts, strict=True)]
            return torch.stack(weighted).sum(0) / total

        flow = mean([rearrange(face.flow, "b h w d -> b d h w") for face in faces])
        face = mean([face.face for face in faces])
        return views[0]._replace(appearance=EmbeddedFace(face, rearrange(flow, "b d h w -> b h w d"), total))

    def mover(
        self, source: DrivingVector, initial: DrivingVector, relative: bool = True, adapt_scale: bool = False
    ) -> Callable[[DrivingVector], DrivingVector]:
        """v_s + v_d - v_d0."""
        if adapt_scale:
            raise UserError("X2Face's motion has no scale to adapt; leave --adapt-scale out")
        if not relative:
            return lambda driving: driving
        return lambda driving: DrivingVector(source.vector + driving.vector - initial.vector)

    def difference(self, source: DrivingVector, driving: DrivingVector) -> Float[Tensor, " t"]:
        """Squared distances of the vectors as the flow network sees them."""
        return (F.relu(source.vector) - F.relu(driving.vector)).square().sum(1)

    def render(
        self,
        source: CodeView,
        driving: DrivingVector,
        with_attention: bool = False,
        background: Float[Tensor, "b 2 3"] | None = None,
    ) -> Rendering:
        """`flow` is that from the picture to the (first) source image; `warped` is the picture itself."""
        encoded: CodeView = source if source.appearance is not None else self.encode(source)
        face: EmbeddedFace = encoded.appearance
        side = encoded.image.shape[-1] // 2**self.config.num_levels
        bottleneck = rearrange(driving.vector, "b (c h w) -> b c h w", h=side, w=side)
        at = moved_grid(self.driving.shifts(bottleneck))
        generated = sample(face.face, at, self.config.padding)
        flow = sample(rearrange(face.flow, "b h w d -> b d h w"), at, "border")
        return Rendering(generated, rearrange(flow, "b d h w -> b h w d"), None, None, generated)

    def _check(self, image: Float[Tensor, "b 3 h w"]) -> None:
        step = 2**self.config.num_levels
        if image.shape[2] % step or image.shape[3] % step:
            raise UserError(
                f"this X2Face works on images of {step} pixels or a multiple, not {image.shape[3]}x{image.shape[2]}"
            )


def _initialise(module: nn.Module) -> None:
    """As published: Xavier's weights, scales of norms uniform in 0.02 to 1."""
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_normal_(module.weight)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.uniform_(module.weight, 0.02, 1.0)
