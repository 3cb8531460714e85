"""How each form of a depth map is made: one writer per form, for a picture and for the frames of a video."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from fractions import Fraction
from itertools import chain
from pathlib import Path

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from dagan.depth.estimate import DepthPicture
from dagan.depth.map_files import camera_facts, npy_stream, write_json, write_npy, write_png, write_raw_png
from dagan.depth.parallax import RATE, SWING, parallax_frames
from dagan.depth.surface_files import write_glb, write_ply
from dagan.errors import UserError
from dagan.geometry.relief import cloud_from_depth, mesh_from_depth, middle_depth
from dagan.images import colour_map, to_pixels
from dagan.inference.drivers import Shown
from dagan.inference.video import VideoWriter

MESH_SIDE = 256  # vertices along the longer side: as fine as what F_d sees
PATIENCE = 0.95  # how much of the range of colours a frame of a video keeps from those before it: no flicker

Sink = Callable[[DepthPicture], None]


def export_picture(picture: DepthPicture, outputs: dict[str, Path], swing: float = SWING) -> Iterator[str]:
    """Writes each form and says in one line what it is. `outputs` is from `plan_outputs`; swing in degrees.

    Raises:
        UserError: nothing is left of a surface once its jumps are cut.
    """
    writers: dict[str, Callable[[DepthPicture, Path], str]] = {
        "map": _write_map,
        "raw": _write_raw,
        "npy": _write_numbers,
        "camera": _write_camera,
        "ply": _write_cloud,
        "glb": _write_mesh,
        "parallax": lambda picture, path: _write_parallax(picture, path, swing),
    }
    for name, path in outputs.items():
        path.parent.mkdir(exist_ok=True)
        yield f"{path}: {writers[name](picture, path)}"


def _write_map(picture: DepthPicture, path: Path) -> str:
    write_png(path, colour_map(picture.disparity))
    return f"{_size(picture)}, bright is near"


def _write_raw(picture: DepthPicture, path: Path) -> str:
    write_raw_png(path, picture)
    return f"{_size(picture)}, depth in 16 bits"


def _write_numbers(picture: DepthPicture, path: Path) -> str:
    write_npy(path, picture.depth)
    return f"{_size(picture)}, depth {float(picture.depth.min()):.3f} to {float(picture.depth.max()):.3f}"


def _write_camera(picture: DepthPicture, path: Path) -> str:
    write_json(path, camera_facts(picture))
    return "intrinsics, range and scale"


def _write_cloud(picture: DepthPicture, path: Path) -> str:
    cloud = cloud_from_depth(*picture.surface)
    _check_surface(len(cloud.position), path)
    write_ply(path, cloud)
    return f"{len(cloud.position)} points"


def _write_mesh(picture: DepthPicture, path: Path) -> str:
    _, depth, intrinsics = limited(picture, MESH_SIDE).surface
    mesh = mesh_from_depth(depth, intrinsics)
    _check_surface(len(mesh.triangles), path)
    vertical_view = 2 * math.atan(depth.shape[2] / 2 / float(intrinsics[0, 1, 1]))
    write_glb(path, mesh, picture.image, vertical_view, middle_depth(depth))
    return f"{len(mesh.position)} vertices, {len(mesh.triangles)} triangles"


def _write_parallax(picture: DepthPicture, path: Path, swing: float) -> str:
    height, width = picture.image.shape[2:]
    frames = parallax_frames(picture, swing)
    with VideoWriter(path, RATE, (width, height)) as writer:
        for frame in tqdm(frames, unit="frame", disable=None, leave=False):
            writer.write(to_pixels(frame))
    return f"{writer.num_frames} frames, the camera goes {swing:g} degrees aside"


def _size(picture: DepthPicture) -> str:
    height, width = picture.depth.shape[2:]
    return f"{width}x{height}"


def _check_surface(count: int, path: Path) -> None:
    if count == 0:
        raise UserError(f"{path} would be empty: depth jumps at every pixel; is the depth network trained?")


def limited(picture: DepthPicture, side: int) -> DepthPicture:
    """The picture with at most so many pixels along its longer side, and its camera."""
    height, width = picture.disparity.shape[2:]
    scale = min(1.0, side / max(height, width))
    rows, columns = max(2, round(height * scale)), max(2, round(width * scale))
    image, disparity = (
        functional.interpolate(part, (rows, columns), mode="bilinear", align_corners=False, antialias=True)
        for part in (picture.image, picture.disparity)
    )
    factors = picture.intrinsics.new_tensor([[columns / width], [rows / height], [1.0]])
    return DepthPicture(image, disparity, picture.intrinsics * factors)


def export_video(
    pictures: Iterable[DepthPicture],
    outputs: dict[str, Path],
    rate: Fraction,
    audio: Path | None = None,
    total: int | None = None,
    times: Sequence[Shown] | None = None,
) -> Iterator[str]:
    """Writes each form frame by frame, and says in one line what it is. Memory does not grow with length.

    `rate` is in frames per second; `times`: when frames are shown, if not at even intervals; `audio` is the file whose
    sound goes into the map in colours; `total`, the number of frames if it is known, is for the progress bar.
    """
    frames = iter(pictures)
    first = next(frames)  # before anything is created: it may be what cannot be read
    num_frames = 0
    with ExitStack() as stack:
        sinks = [stack.enter_context(_sink(name, path, first, rate, audio, times)) for name, path in outputs.items()]
        for picture in tqdm(chain([first], frames), total=total, unit="frame", disable=None, leave=False):
            for write in sinks:
                write(picture)
            num_frames += 1
    for path in outputs.values():
        yield f"{path}: {num_frames} frames, {_size(first)}"


def _sink(
    name: str, path: Path, first: DepthPicture, rate: Fraction, audio: Path | None, times: Sequence[Shown] | None
) -> AbstractContextManager[Sink]:
    path.parent.mkdir(exist_ok=True)
    if name == "map":
        return _map_sink(path, first, rate, audio, times or ())
    return _numbers_sink(path) if name == "npy" else _raw_sink(path)


@contextmanager
def _map_sink(
    path: Path, first: DepthPicture, rate: Fraction, audio: Path | None, times: Sequence[Shown]
) -> Iterator[Sink]:
    height, width = first.disparity.shape[2:]
    bounds: tuple[float, float] | None = None

    def write(picture: DepthPicture) -> None:
        nonlocal bounds
        bounds = following_bounds(picture.disparity, bounds)
        shown = times[writer.num_frames] if writer.num_frames < len(times) else Shown(None, None)
        writer.write(to_pixels(colour_map(picture.disparity, bounds)), *shown)

    with VideoWriter(path, rate, (width, height), audio) as writer:
        yield write


@contextmanager
def _numbers_sink(path: Path) -> Iterator[Sink]:
    with npy_stream(path) as write:
        yield lambda picture: write(picture.depth)


@contextmanager
def _raw_sink(folder: Path) -> Iterator[Sink]:
    """One 16-bit picture per frame, numbered from 0."""
    num_frames = 0

    def write(picture: DepthPicture) -> None:
        nonlocal num_frames
        write_raw_png(folder / f"{num_frames:06d}.png", picture)
        num_frames += 1

    folder.mkdir(exist_ok=True)
    yield write


def following_bounds(disparity: Float[Tensor, "1 1 h w"], before: tuple[float, float] | None) -> tuple[float, float]:
    """The range of disparities to colour a frame by: its own, if it is the first; else the last one's, led a little."""
    low, high = float(disparity.min()), float(disparity.max())
    if before is None:
        return low, high
    return PATIENCE * before[0] + (1 - PATIENCE) * low, PATIENCE * before[1] + (1 - PATIENCE) * high
