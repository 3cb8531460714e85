"""Whether a file can drive a portrait: a still picture cannot."""

from pathlib import Path

from PIL import Image, UnidentifiedImageError

from dagan.errors import UserError

# By content, whatever the name says; the same file of these formats may hold several frames, which then is a video.
STILL_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
STILL_SUFFIXES = frozenset({".heic", ".heif"})  # which the image library cannot open by itself
ONE_PICTURE_FORMATS = ("JPEG", "MPO", "TIFF")  # several pictures in one of these are no video


def check_driver_is_video(path: Path) -> None:
    """Raises UserError for a picture: a portrait cannot move as something that does not move."""
    if path.suffix.lower() in STILL_SUFFIXES or _is_still(path):
        raise UserError(f"DRIVING is a picture: {path}; give a video or a recorded motion")


def _is_still(path: Path) -> bool:
    Image.init()  # the formats beyond the commonest
    try:
        with Image.open(path, formats=[name for name in STILL_FORMATS if name in Image.OPEN]) as image:
            return image.format in ONE_PICTURE_FORMATS or getattr(image, "n_frames", 1) == 1
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
