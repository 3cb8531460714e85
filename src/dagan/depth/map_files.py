"""Depth as files: pictures and numbers. Each appears whole or not at all."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from dagan.depth.estimate import DepthPicture
from dagan.files import written_whole
from dagan.images import to_pixels

RAW_STEPS = 10_000  # values of a 16-bit map per unit of depth: a tenth of a millimetre if the unit is a metre
NUMBERS = np.dtype("<f4")


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes its name when all is well, and leaves nothing otherwise."""
    with written_whole(path) as partial, partial.open("wb") as file:
        yield file


def write_png(path: Path, image: Float[Tensor, "1 3 h w"]) -> None:
    """An image in [0, 1] as an 8-bit picture."""
    with whole_file(path) as file:
        Image.fromarray(to_pixels(image)).save(file, "png")


def write_raw_png(path: Path, picture: DepthPicture) -> None:
    """Depth in 16-bit grey, `RAW_STEPS` values per unit of depth; scale and camera stand in the file's text."""
    values = (picture.depth[0, 0].double() * RAW_STEPS).round().clamp(0, 65535)
    facts = PngInfo()
    facts.add_text("Description", "depth along the optical axis; value / depth_scale is in units of F_d")
    for name, value in camera_facts(picture).items():
        facts.add_text(name, json.dumps(value))
    with whole_file(path) as file:
        Image.fromarray(values.cpu().numpy().astype(np.uint16)).save(file, "png", pnginfo=facts)


def write_npy(path: Path, depth: Float[Tensor, "1 1 h w"]) -> None:
    """Depth as float32, `h w`, for `numpy.load`."""
    with whole_file(path) as file:
        np.save(file, depth[0, 0].cpu().numpy().astype(NUMBERS), allow_pickle=False)


@contextmanager
def npy_stream(path: Path) -> Iterator[Callable[[Float[Tensor, "1 1 h w"]], None]]:
    """Writes depth maps one by one into a float32 array `t h w`; the number of frames need not be known before."""
    count, shape = 0, (0, 0)

    def write(depth: Float[Tensor, "1 1 h w"]) -> None:
        nonlocal count, shape
        count, shape = count + 1, (depth.shape[2], depth.shape[3])
        if count == 1:
            _npy_header(file, (1, *shape))
        file.write(depth[0, 0].cpu().numpy().astype(NUMBERS).tobytes())

    with whole_file(path) as file:
        yield write
        file.seek(0)
        _npy_header(file, (count, *shape))  # as long as before: NumPy leaves room for the first axis to grow


def _npy_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    fields = {"descr": NUMBERS.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, fields)


def camera_facts(picture: DepthPicture) -> dict[str, Any]:
    """What a reader of the maps has to know: size, intrinsics in pixels, range of depth, scale of the 16-bit map."""
    height, width = picture.depth.shape[2:]
    return {
        "width": width,
        "height": height,
        "intrinsics": [[round(value, 6) for value in row] for row in picture.intrinsics[0].tolist()],
        "pixel_centres": "integer + 0.5",
        "depth_scale": RAW_STEPS,
        "depth_min": round(float(picture.depth.min()), 6),
        "depth_max": round(float(picture.depth.max()), 6),
    }


def write_json(path: Path, facts: dict[str, Any]) -> None:
    with whole_file(path) as file:
        file.write((json.dumps(facts, indent=2) + "\n").encode())
