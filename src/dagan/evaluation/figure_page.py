"""Pictures laid out as a paper's figure: tiles in rows, titles below the columns, marks drawn sharply on top."""

import colorsys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from dagan.errors import UserError
from dagan.files import written_whole

SIDE = 192  # pixels of a tile
GAP = 3  # between tiles
FINE = 4  # marks are drawn this much larger, then reduced: smooth edges
TEXT = 0.085  # height of the letters, of a tile's side
QUALITY = 92  # of JPEG
RED = (225, 20, 25)

Tile = Float[Tensor, "3 _h _w"] | Image.Image | None  # None: an empty place


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


def to_picture(image: Float[Tensor, "3 _h _w"]) -> Image.Image:
    """RGB in [0, 1] as 8 bits."""
    pixels = (image.detach().float().cpu().clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(np.ascontiguousarray(rearrange(pixels, "c h w -> h w c").numpy()))


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


def check_target(path: Path) -> None:
    """Raises UserError for suffixes that are not png or jpg, and for missing folders."""
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UserError(f"{path}: a figure is written as .png or .jpg")
    if not path.parent.is_dir():
        raise UserError(f"no such folder: {path.parent}; make it first, or choose another -o")


def save_page(page: Image.Image, path: Path) -> None:
    """Writes the page, whole or not at all. Raises UserError as `check_target`."""
    check_target(path)
    with written_whole(path) as partial:
        page.save(partial, Image.registered_extensions()[path.suffix.lower()], quality=QUALITY)
