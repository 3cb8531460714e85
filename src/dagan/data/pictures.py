"""Photos out of files: RGB in sRGB, upright, `h w 3` uint8. What a file is, its content says, not its name."""

import io
import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from dagan.data.coded_colours import coded_colours, coded_to_srgb
from dagan.data.colour import PLAIN, Colours
from dagan.data.profiles import as_srgb
from dagan.errors import UserError, reason_of

# What the pictures in a folder are called; a picture that is named itself may be called anything.
IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".webp", ".heic", ".heif", ".avif", ".tif", ".tiff", ".bmp", ".jp2"}
)
MAX_IMAGE_PIXELS = 89_000_000  # where Pillow begins to warn of decompression bombs: 11,000 x 8,000
# What Pillow may open. It knows more: EPS starts Ghostscript, and no photo is kept in the others (PSD, ICNS, FLI).
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "DIB", "JPEG2000", "PPM", "TGA", "ICO")
MOVING = frozenset({"GIF", "PNG"})  # formats that can be videos, too; of an animated WebP FFmpeg reads nothing
HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"})
BRANDED = 64  # bytes from the start of a file within which its brands stand
GIVE = "give a PNG, JPEG, WebP, AVIF, HEIC or TIFF"


def read_image(path: str | Path, file: io.BytesIO | None = None) -> UInt8[np.ndarray, "h w 3"]:
    """A picture as RGB: sRGB, turned by its EXIF orientation, transparency on white, 16-bit scaled to 8. Of an animated
    picture the first frame.

    With `file`, the picture is read from there, and `path` is only its name in messages.

    Raises:
        UserError: no such file, not a picture, damaged, or larger than `MAX_IMAGE_PIXELS`.
    """
    with _one_line_errors(path), _opened(path, file) as (image, colours):
        if image.width * image.height > MAX_IMAGE_PIXELS:
            raise UserError(f"image is too large: {path} has {image.width}x{image.height} pixels; make it smaller")
        upright = ImageOps.exif_transpose(image)
        profile = image.info.get("icc_profile")
        if colours == PLAIN or (profile is not None and image.format != "PNG"):  # in HEIC and AVIF the profile counts
            return np.asarray(_as_rgb(upright, profile, path))
        return np.asarray(coded_to_srgb(_as_rgb(upright, None, path), colours))


def is_picture(path: str | Path) -> bool:
    """Whether a file is read as one still picture. Animated ones (GIF, PNG) and whatever is no picture are not.

    Only the file's head is read. Raises UserError if there is no such file.
    """
    if not os.path.isfile(path):
        raise UserError(f"no such file: {path}")
    try:
        with _one_line_errors(path), _opened(path) as (image, _):
            return not (image.format in MOVING and getattr(image, "is_animated", False))
    except UserError as error:
        return isinstance(error.__cause__, ImportError)  # a HEIC that cannot be read is a picture all the same


def what_instead(path: str | Path) -> str:
    """In brackets, what lies in the place of a picture or video (nothing, a web page, a git-LFS pointer), if known."""
    if not os.path.isfile(path):  # a name in a tar
        return ""
    from dagan.data.file_checks import HEAD, failed_download

    with Path(path).open("rb") as file:
        known = failed_download(file.read(HEAD))
    return f" ({known.partition(';')[0].partition(':')[0]})" if known else ""


@contextmanager
def _one_line_errors(path: str | Path) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # refused with our own words
            yield
    except UserError:
        raise
    except UnidentifiedImageError as error:
        raise UserError(f"not an image: {path}{what_instead(path)}; {GIVE}") from error
    except (Image.DecompressionBombError, MemoryError) as error:
        raise UserError(f"image is too large: {path} ({reason_of(error)})") from error
    except (OSError, SyntaxError, ValueError, EOFError, LookupError, RuntimeError, struct.error) as error:
        raise UserError(f"not an image that can be read: {path} ({reason_of(error)})") from error


@contextmanager
def _opened(path: str | Path, file: io.BytesIO | None = None) -> Iterator[tuple[Image.Image, Colours]]:
    """The picture, not decoded yet, and the colours that its file states by number.

    Raises what Pillow raises, and UserError where a reader is missing.
    """
    if file is None and not os.path.isfile(path):
        raise UserError(f"no such image file: {path}")
    with Path(path).open("rb") if file is None else nullcontext(file) as source:
        colours = coded_colours(source)
        with _open_heif(source, path) if _is_heif(source) else Image.open(source, formats=FORMATS) as image:
            yield image, colours


def _is_heif(file: io.BufferedIOBase) -> bool:
    """Whether a file says that its pictures are HEVC (`ftyp` box of ISO 23008-12). AVIF is in the same container."""
    start = file.tell()
    head = file.read(BRANDED)
    file.seek(start)
    if head[4:8] != b"ftyp":
        return False
    length = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, length - 3, 4))}
    return bool(brands & HEIF_BRANDS) and not head[8:12].startswith(b"avi")


def _open_heif(file: io.BufferedIOBase, path: str | Path) -> Image.Image:
    """A HEIC picture. libheif turns it itself, and its EXIF orientation is reset to say so."""
    try:
        from pi_heif import HeifImageFile
    except ImportError as error:
        raise UserError(f"{path} is a HEIC picture: pip install pi-heif, or give a JPEG") from error
    image: Image.Image = HeifImageFile(file)
    return image


def _as_rgb(image: Image.Image, profile: bytes | None, path: str | Path) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey (modes I;16* and, from PNG in older Pillow, I)
        values = np.asarray(image.convert("I"), dtype=np.int64)
        image = Image.fromarray((values.clip(0, 65535) / 257).round().astype(np.uint8))
    elif image.mode == "F":
        image = Image.fromarray((np.asarray(image).clip(0, 1) * 255).round().astype(np.uint8))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        if profile is not None:
            layer = Image.merge("RGBA", (*as_srgb(layer.convert("RGB"), profile, path).split(), layer.getchannel("A")))
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return (as_srgb(image, profile, path) if profile is not None else image).convert("RGB")
