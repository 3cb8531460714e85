"""RGB tensors to bytes and back, maps and motion as pictures, and pages of pictures with titles: the only place."""

import colorsys
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from dagan.errors import UserError
from dagan.files import check_place, written_whole

SIDE = 192  # pixels of a tile
GAP = 3  # between tiles
FINE = 4  # marks are drawn this much larger, then reduced: smooth edges
TEXT = 0.085  # height of the letters, of a tile's side
QUALITY = 92  # of JPEG
RED = (225, 20, 25)
FADED, HEAT = 0.35, 0.65  # shares of the grey image and of the attention's colours
FLOW_FULL_SCALE = 0.5  # displacement in [-1, 1] units that is drawn with full colour
PALETTE = ((0.05, 0.03, 0.25), (0.45, 0.1, 0.5), (0.85, 0.3, 0.35), (1.0, 0.65, 0.3), (1.0, 0.95, 0.75))  # far to near

Tile = Float[Tensor, "3 _h _w"] | Image.Image | None  # None: an empty place


def to_tensor(pixels: UInt8[np.ndarray, "h w 3"]) -> Float[Tensor, "1 3 h w"]:
    """RGB bytes as a batch of one in [0, 1]."""
    return rearrange(torch.tensor(pixels, dtype=torch.float32) / 255, "h w c -> 1 c h w")


def to_pixels(image: Float[Tensor, "1 3 h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """RGB in [0, 1] as bytes, rounded; values outside of [0, 1] are cut off."""
    levels = (image[0].detach().float().clamp(0, 1) * 255).round_()
    return levels.permute(1, 2, 0).to(torch.uint8, memory_format=torch.contiguous_format).cpu().numpy()


def to_picture(image: Float[Tensor, "3 _h _w"]) -> Image.Image:
    """RGB in [0, 1] as a Pillow image."""
    return Image.fromarray(to_pixels(image[None]))


class Crop(NamedTuple):
    """A square of an image in whole pixels, (x, y) its upper left corner; it may reach beyond the image."""

    x: int
    y: int
    size: int


def apply_crop(frame: UInt8[np.ndarray, "h w 3"], crop: Crop, size: int) -> Float[Tensor, "3 size size"]:
    """The crop at `size` pixels, RGB in [0, 1], antialiased; beyond the image its edge pixels are repeated."""
    height, width = frame.shape[:2]
    left, top, right, bottom = crop.x, crop.y, crop.x + crop.size, crop.y + crop.size
    inside = frame[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    beyond = [(max(-top, 0), max(bottom - height, 0)), (max(-left, 0), max(right - width, 0)), (0, 0)]
    square = np.pad(inside, beyond, mode="edge") if np.any(beyond) else inside
    if crop.size != size:
        image = Image.fromarray(np.ascontiguousarray(square))
        square = np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))
    return rearrange(torch.from_numpy(square.astype(np.float32)) / 255, "h w c -> c h w").contiguous()


def colour_map(depth: Float[Tensor, "b 1 h w"], bounds: tuple[float, float] | None = None) -> Float[Tensor, "b 3 h w"]:
    """A map in colours (bright = near for disparity), each image from its own least to its greatest value, or all
    between the same bounds."""
    low, high = depth.amin(dim=(1, 2, 3), keepdim=True), depth.amax(dim=(1, 2, 3), keepdim=True)
    if bounds is not None:
        low, high = torch.full_like(low, bounds[0]), torch.full_like(high, bounds[1])
    at = ((depth - low) / (high - low).clamp_min(1e-6)).clamp(0, 1) * (len(PALETTE) - 1)
    palette = torch.tensor(PALETTE, device=depth.device)
    below = at.long().clamp_max(len(PALETTE) - 2)
    colour = torch.lerp(palette[below], palette[below + 1], (at - below)[..., None])  # b 1 h w 3
    return rearrange(colour, "b 1 h w c -> b c h w")


def draw_displacement(moved: Float[Tensor, "b h w 2"]) -> Float[Tensor, "b 3 h w"]:
    """Displacement in [-1, 1] units as colour: the direction sets the hue, grey is no motion."""
    x, y = (moved / FLOW_FULL_SCALE).unbind(-1)
    return torch.stack([0.5 + x / 2, 0.5 + y / 2, 0.5 - (x + y) / 4], dim=1).clamp(0, 1)


def compose(
    rows: Sequence[Sequence[Tile]], titles: Sequence[str], names: Sequence[str] = (), side: int = SIDE
) -> Image.Image:
    """The page: white, a title below each column, and, where `names` are given, one upright to the left of each row.

    Rows may be shorter than the titles; what is missing stays white.
    """
    font = ImageFont.load_default(size=max(8, round(TEXT * side)))
    line = round(2 * TEXT * side)
    left = line if names else 0
    step = side + GAP
    lines = max((title.count("\n") + 1 for title in titles), default=0)
    size = (left + len(titles) * step - GAP, len(rows) * step - GAP + round(line * (0.25 + 0.75 * lines)))
    page = Image.new("RGB", size, "white")
    for place, row in enumerate(rows):
        for column, tile in enumerate(row):
            if tile is not None:
                page.paste(resized(tile, side), (left + column * step, place * step))
    pen = ImageDraw.Draw(page)
    for column, title in enumerate(titles):
        at = (left + column * step + side / 2, len(rows) * step + line * 0.08)
        pen.multiline_text(at, fitted(title, font, side), fill="black", anchor="ma", align="center", font=font)
    for place, name in enumerate(names):
        page.paste(_upright(fitted(name, font, side), font, (side, line)), (0, place * step))
    return page


def fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """The text cut where it would be wider than its tile."""

    def cut(line: str) -> str:
        if font.getlength(line) <= width:
            return line
        while line and font.getlength(line + "...") > width:
            line = line[:-1]
        return line + "..."

    return "\n".join(map(cut, text.split("\n")))


def _upright(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, size: tuple[int, int]) -> Image.Image:
    label = Image.new("RGB", size, "white")
    ImageDraw.Draw(label).text((size[0] / 2, size[1] / 2), text, fill="black", anchor="mm", font=font)
    return label.transpose(Image.Transpose.ROTATE_90)


def resized(tile: Float[Tensor, "3 _h _w"] | Image.Image, side: int) -> Image.Image:
    """A tile at its size on the page."""
    picture = tile if isinstance(tile, Image.Image) else to_picture(tile)
    return picture if picture.size == (side, side) else picture.resize((side, side), Image.Resampling.LANCZOS)


def with_points(image: Float[Tensor, "3 h w"], position: Float[Tensor, "k 2"], side: int = SIDE) -> Image.Image:
    """The image with a dot at each keypoint, each in its own hue. Positions are (x, y) in [-1, 1]."""
    large = resized(image, side * FINE)
    pen = ImageDraw.Draw(large)
    radius = 0.018 * side * FINE
    for index, (x, y) in enumerate(position.tolist()):
        at = ((x + 1) / 2 * large.width, (y + 1) / 2 * large.height)
        hue = colorsys.hsv_to_rgb(index / len(position), 0.85, 1.0)
        colour = tuple(round(255 * value) for value in hue)
        pen.circle(at, radius, fill=colour, outline="white", width=FINE)
    return large.resize((side, side), Image.Resampling.LANCZOS)


def with_cross(image: Float[Tensor, "3 h w"], at: tuple[float, float], side: int = SIDE) -> Image.Image:
    """The image with the red x that marks a query position, (x, y) in [-1, 1] (Figs. 1c, 10)."""
    large = resized(image, side * FINE)
    pen = ImageDraw.Draw(large)
    x, y = ((value + 1) / 2 * large.width for value in at)
    arm, thick = 0.03 * large.width, round(0.012 * large.width)
    for width, colour, reach in ((thick + 2 * FINE, (255, 255, 255), arm + FINE), (thick, RED, arm)):
        for slope in (-1, 1):
            pen.line((x - reach, y - slope * reach, x + reach, y + slope * reach), fill=colour, width=width)
    return large.resize((side, side), Image.Resampling.LANCZOS)


def draw_attention(
    image: Float[Tensor, "1 3 h w"], attention: Float[Tensor, "1 n n"], query: tuple[float, float], side: int = SIDE
) -> Tile:
    """What the position `query` looks at, over the faded image, with the red cross on it."""
    width = math.isqrt(attention.shape[1])
    column, row = (min(max(int((value + 1) / 2 * width), 0), width - 1) for value in query)
    heat = rearrange(attention[:, row * width + column], "1 (h w) -> 1 1 h w", h=width)
    heat = F.interpolate(heat.float(), image.shape[2:], mode="bicubic", align_corners=False).clamp_min(0)
    grey = image.float().mean(1, keepdim=True)
    return with_cross((FADED * grey + HEAT * colour_map(heat))[0], query, side)


def check_target(path: Path) -> None:
    """Raises UserError for suffixes that are not png or jpg, and for places that cannot be written."""
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UserError(f"the output must end in .png or .jpg, got {path}")
    check_place(path)


def save_page(page: Image.Image, path: Path) -> None:
    """Writes the page, whole or not at all. Raises UserError as `check_target`."""
    check_target(path)
    with written_whole(path) as partial:
        page.save(partial, Image.registered_extensions()[path.suffix.lower()], quality=QUALITY)
