"""The colours of a picture as its file states them by numbers of ITU-T H.273: PNG's cICP, and nclx of HEIC and AVIF."""

import io
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageFilter

from dagan.data.colour import PLAIN, TABLE_SIDE, Colours, to_srgb

PNG_HEAD = b"\x89PNG\r\n\x1a\n"
MOST_READ = 1 << 20  # bytes from the start of a file in which such numbers stand
MOST_PARTS = 1000  # chunks or boxes
OUTER = {
    b"meta": 4,
    b"iprp": 0,
    b"ipco": 0,
}  # boxes of ISO 23008-12 that lead to `colr`, and bytes before what they hold


def coded_colours(file: io.BufferedIOBase | BinaryIO) -> Colours:
    """The stated colours of a picture whose file stands at its start, where it is left; `PLAIN` if it states none."""
    start = file.tell()
    head = file.read(MOST_READ)
    file.seek(start)
    stated = _cicp(head) if head.startswith(PNG_HEAD) else _nclx(head) if head[4:8] == b"ftyp" else None
    return Colours.stated(*stated) if stated is not None else PLAIN


def coded_to_srgb(image: Image.Image, colours: Colours) -> Image.Image:
    """An RGB picture of these colours in sRGB."""
    steps = np.linspace(0, 1, TABLE_SIDE)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")  # red varies fastest
    table = to_srgb(np.stack([red, green, blue], -1).reshape(-1, 3), colours)
    return image.filter(ImageFilter.Color3DLUT(TABLE_SIDE, table.ravel().tolist()))


def _cicp(head: bytes) -> tuple[int, int] | None:
    """Primaries and transfer of a PNG."""
    at = len(PNG_HEAD)
    for _ in range(MOST_PARTS):
        length, kind = int.from_bytes(head[at : at + 4], "big"), head[at + 4 : at + 8]
        content = head[at + 8 : at + 8 + length]
        if kind == b"cICP" and len(content) == 4:
            return content[0], content[1]
        if kind in (b"", b"IDAT"):
            return None
        at += 12 + length
    return None


def _nclx(content: bytes) -> tuple[int, int] | None:
    """Primaries and transfer of the first box that states them."""
    at = 0
    for _ in range(MOST_PARTS):
        length, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        if length < 8:  # the end, or a box of 4 GB and more
            return None
        inner = content[at + 8 : at + length]
        if kind in OUTER:
            return _nclx(inner[OUTER[kind] :])
        if kind == b"colr" and inner[:4] == b"nclx" and len(inner) >= 8:
            return int.from_bytes(inner[4:6], "big"), int.from_bytes(inner[6:8], "big")
        at += length
    return None
