"""Embedded colour profiles (ICC): a picture's colours as sRGB."""

import io
import warnings
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

UNSEEN = 2  # levels of 255: a profile that moves no colour further is sRGB under one of its many names


def as_srgb(image: Image.Image, profile: bytes, path: str | Path) -> Image.Image:
    """The picture in sRGB, by the profile it carries; unchanged, with a warning, if the profile makes no sense for it.

    Relative colorimetric with black point compensation, as photo editors do: colours that sRGB has stay what they are,
    which perceptual tables would change, and the darkest tones of a print profile are not lost.
    """
    if image.mode == "P":
        image = image.convert("RGB")
    elif image.mode == "LA":
        image = image.convert("L")
    try:
        transform = _transform(profile, image.mode)
        return ImageCms.applyTransform(image, transform) if transform is not None else image  # type: ignore[return-value]
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        warnings.warn(f"the colour profile of {path} is damaged or of another kind; it is ignored", stacklevel=2)
        return image


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile to sRGB, None if it is sRGB. Raises what ImageCms raises."""
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if mode != "RGB":
        return transform
    steps = (0, 16, 48, 96, 144, 192, 232, 255)
    probe = np.array(list(product(steps, repeat=3)), np.uint8)[None]  # 1 n 3
    moved = np.asarray(ImageCms.applyTransform(Image.fromarray(probe), transform))
    return transform if np.abs(moved.astype(int) - probe).max() > UNSEEN else None
