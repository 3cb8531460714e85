"""What F_d makes of a portrait: its depth, and the camera that makes points of it."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from numpy import array, ndarray
from torch import Tensor
from torch.nn import functional

from dagan.errors import UserError
from dagan.geometry.camera import pixel_centres
from dagan.geometry.splat import fill_holes
from dagan.images import Crop, apply_crop
from dagan.inference.crop import CropChoice, frame_photo
from dagan.inference.framing import cut_window
from dagan.inference.quarter_turn import turn
from dagan.models.depth import FaceDepthConfig, FaceDepthNet, depth_from_disparity
from dagan.models.pose import PoseConfig
from dagan.models.weights import FORMATS, load, load_depth, read_metadata

SEEN_SIZE = 256  # pixels of the square that F_d is given, as in training
DEFAULT_SIZE = 512  # pixels of the longer side of what comes out
PORTRAIT_FOCAL = PoseConfig().portrait_focal  # in sides of the face crop: the camera that stage 1 starts from


class DepthPicture(NamedTuple):
    """A picture with its disparity in (0, 1), 1 = nearest, and K in its pixels (centres at integer + 0.5)."""

    image: Float[Tensor, "1 3 h w"]
    disparity: Float[Tensor, "1 1 h w"]
    intrinsics: Float[Tensor, "1 3 3"]

    @property
    def depth(self) -> Float[Tensor, "1 1 h w"]:
        """Depth along the optical axis, in units of F_d: up to scale, and near to metres for a usual portrait."""
        return depth_from_disparity(self.disparity)

    @property
    def surface(self) -> tuple[Float[Tensor, "1 3 h w"], Float[Tensor, "1 1 h w"], Float[Tensor, "1 3 3"]]:
        """Image, depth and intrinsics: what a surface is made of."""
        return self.image, self.depth, self.intrinsics


class Framing(NamedTuple):
    """What of a picture is wanted: the square around the face, which F_d sees, or with `whole` all of it.

    `crop` is (x, y, side) in pixels of the picture after `quarter` quarter turns, which bring the face upright; what
    comes out lies as the picture does. `size` is the longer side of the result, `field_of_view` the angle across its
    width in degrees; None: that of the portrait camera that stage 1 starts from, 28 degrees across the face crop.
    """

    crop: tuple[float, float, float]
    whole: bool = False
    size: int = DEFAULT_SIZE
    field_of_view: float | None = None
    quarter: int = 0


def load_face_depth(path: str | Path | None = None, device: str | torch.device = "cpu") -> FaceDepthNet:
    """F_d in eval mode: of the bundled weights, of a model file, or from a depth file that stage 1 wrote.

    Raises:
        UserError: as `dagan.load`, or a model without a depth network.
    """
    if path is not None and read_metadata(Path(path)).get("format") == FORMATS[FaceDepthConfig]:
        return load_depth(path).to(device)
    depth = load(path, device).depth
    if not isinstance(depth, FaceDepthNet):
        raise UserError(f"the model in {path} has no depth network; give one that has, or a depth file of train-depth")
    return depth


def estimate_depth(
    picture: UInt8[ndarray, "h w 3"],
    network: FaceDepthNet | None = None,
    *,
    crop: CropChoice = "auto",
    whole: bool = False,
    size: int = DEFAULT_SIZE,
    field_of_view: float | None = None,
) -> DepthPicture:
    """The depth of a portrait (RGB), by the bundled F_d or another one; `Framing` says what the options mean.

    Raises:
        UserError: `crop` is "auto" and no face is found, or the square lies outside of the picture.
    """
    photo = frame_photo(picture, crop)
    framing = Framing(photo.crop, whole, size, field_of_view, photo.quarter)
    return next(depth_pictures([picture], network or load_face_depth(), [framing]))


def depth_pictures(
    frames: Iterable[UInt8[ndarray, "h w 3"]], network: FaceDepthNet, framings: Iterable[Framing]
) -> Iterator[DepthPicture]:
    """The depth of each frame as its framing says, made when it is asked for."""
    for frame, framing in zip(frames, framings, strict=False):
        view = _view_whole if framing.whole else _view_crop
        image, disparity, face_side = view(turn(frame, framing.quarter), network, framing)
        image, disparity = (torch.rot90(part, -framing.quarter, (2, 3)) for part in (image, disparity))
        height, width = image.shape[2:]
        camera = portrait_camera(width, height, face_side, framing.field_of_view)
        yield DepthPicture(image.contiguous(), disparity.contiguous(), camera)


def portrait_camera(
    width: int, height: int, face_side: float, field_of_view: float | None = None
) -> Float[Tensor, "1 3 3"]:
    """K of a picture whose face crop has sides of `face_side` of its pixels; looks at the middle of the picture."""
    focal = PORTRAIT_FOCAL * face_side
    if field_of_view is not None:
        focal = width / 2 / math.tan(math.radians(field_of_view) / 2)
    return torch.tensor([[[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]]])


class _Seen(NamedTuple):
    """An upright picture, its disparity, and the side of the face's square in their pixels."""

    image: Float[Tensor, "1 3 h w"]
    disparity: Float[Tensor, "1 1 h w"]
    face_side: float


def _view_crop(frame: UInt8[ndarray, "h w 3"], network: FaceDepthNet, framing: Framing) -> _Seen:
    size = framing.size
    # From the network's own resolution straight to the result's: twice bilinear would leave facets on the surface.
    coarse = _disparity(frame, network, framing)
    disparity = functional.interpolate(coarse, (size, size), mode="bicubic", align_corners=False).clamp(0, 1)
    return _Seen(cut_window(frame, array(framing.crop, float), size)[None], disparity, float(size))


def _view_whole(frame: UInt8[ndarray, "h w 3"], network: FaceDepthNet, framing: Framing) -> _Seen:
    """All of the picture. F_d knows faces alone: beyond its square, the depth of the square's border is continued."""
    height, width = frame.shape[:2]
    side = max(height, width)
    scale = framing.size / side
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    image = apply_crop(frame, Crop(0, 0, side), framing.size)[None, :, :rows, :columns]
    x, y, face_side = framing.crop
    centres = pixel_centres(rows, columns, image) / scale  # in pixels of the frame
    grid = (centres - centres.new_tensor([x, y])) * (2 / face_side) - 1  # h w 2
    coarse = _disparity(frame, network, framing)
    face = functional.grid_sample(coarse, grid[None], mode="bicubic", padding_mode="border", align_corners=False)
    inside = (grid.abs().amax(-1) <= 1).to(face.dtype)[None, None]
    return _Seen(image, fill_holes(face, inside).clamp(0, 1), face_side * scale)


@torch.inference_mode()
def _disparity(frame: UInt8[ndarray, "h w 3"], network: FaceDepthNet, framing: Framing) -> Float[Tensor, "1 1 s s"]:
    """F_d's map of the face's square at the network's own resolution, on the CPU."""
    device = next(network.parameters()).device
    return network.pyramid(cut_window(frame, array(framing.crop, float), SEEN_SIZE)[None].to(device))[0].cpu()
