"""`dagan depth IMAGE_OR_VIDEO -o OUT`: depth as maps, numbers, point cloud, mesh and moving camera."""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dagan.cli.device import add_device_argument, pick_device
from dagan.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import UInt8

    from dagan.inference.crop import CropChoice

PICTURE_SIZE, VIDEO_SIZE = 512, 256  # defaults of --size
SIZES = (32, 2048)
VIEWS = (5, 150)  # degrees
SWINGS = (0.5, 30)  # degrees


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("input", metavar="IMAGE_OR_VIDEO", type=Path, help="portrait, as a picture or a video")
    add(
        "-o",
        "--output",
        metavar="OUT",
        type=Path,
        required=True,
        help="file to write. Its ending chooses the form: .png (map in colours), .npy (float depth), .ply (point "
        "cloud), .glb (textured mesh), .json (camera), .mp4 (the camera moves round the portrait; for a video: the map "
        "with the video's sound). A name without an ending is a folder that gets all forms",
    )
    add(
        "--format",
        metavar="FORM,...",
        help="forms to write into a folder: map, raw (16-bit png), npy, camera, ply, glb, parallax (default: all); for "
        "a .png, map (default) or raw. A video has map, raw and npy",
    )
    add(
        "-m",
        "--model",
        metavar="PATH",
        help="model file, or depth network of stage 1 (default: the weights in the package)",
    )
    add("--at", metavar="SECONDS", type=float, help="use one picture of a video, at this time")
    add(
        "--crop",
        metavar="none|auto|x,y,w,h",
        default="auto",
        help="square to use: around the face, unless the picture is a face crop already (auto, default); in the middle "
        "(none); around a rectangle in pixels",
    )
    add("--whole", action="store_true", help="keep the whole picture, not only the square")
    add("--size", metavar="PIXELS", type=int, help="longer side of the result (default 512, for a video 256)")
    add(
        "--field-of-view",
        metavar="DEGREES",
        type=float,
        help="angle across the result's width (default: a portrait camera, 28 degrees across the face's square)",
    )
    add(
        "--swing",
        metavar="DEGREES",
        type=float,
        default=6.0,
        help="how far the camera of the parallax video turns to each side (default 6)",
    )
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    started = time.perf_counter()
    _check(args)
    from dagan.data.decoding import is_video
    from dagan.depth.outputs import SURFACES, plan_outputs
    from dagan.depth.surface_files import require_trimesh
    from dagan.files import check_outputs
    from dagan.inference.crop import parse_crop

    choice = parse_crop(args.crop)
    moves = is_video(args.input)
    if args.at is not None and not moves:
        raise UserError(f"--at chooses a moment of a video; {args.input} is a picture")
    wanted = [] if args.format is None else [name.strip() for name in args.format.split(",")]
    whole_video = moves and args.at is None
    outputs = plan_outputs(args.output, wanted, whole_video)
    check_outputs(outputs.values(), [args.input, *([Path(args.model)] if args.model else [])])
    if SURFACES & outputs.keys():
        require_trimesh()
    lines = _of_video(args, choice, outputs) if whole_video else _of_picture(args, choice, outputs)
    for line in lines:
        print(line, flush=True)
    print(f"{len(outputs)} {'form' if len(outputs) == 1 else 'forms'} in {time.perf_counter() - started:.1f} s")
    return 0


def _check(args: argparse.Namespace) -> None:
    """What can be known without opening a file or importing anything heavy."""
    from dagan.files import check_given

    check_given(args.input, "picture or video")
    if args.size is not None and not SIZES[0] <= args.size <= SIZES[1]:
        raise UserError(f"--size must be from {SIZES[0]} to {SIZES[1]} pixels; got {args.size}")
    if args.at is not None and not args.at >= 0:
        raise UserError(f"--at must be a time in seconds from the start of the video; got {args.at:g}")
    for name, value, (low, high) in (("field-of-view", args.field_of_view, VIEWS), ("swing", args.swing, SWINGS)):
        if value is not None and not low <= value <= high:
            raise UserError(f"--{name} must be from {low:g} to {high:g} degrees; got {value:g}")


def _of_picture(args: argparse.Namespace, choice: "CropChoice", outputs: "dict[str, Path]") -> Iterator[str]:
    """Writes all forms of a picture, or of one frame of a video."""
    from dagan.data.pictures import read_image
    from dagan.depth.estimate import Framing, depth_pictures, load_face_depth
    from dagan.depth.export import export_picture
    from dagan.inference.crop import frame_photo

    picture = read_image(args.input) if args.at is None else _frame_at(args.input, args.at)
    photo = frame_photo(picture, choice, name=str(args.input))
    framing = Framing(photo.crop, args.whole, args.size or PICTURE_SIZE, args.field_of_view, photo.quarter)
    network = load_face_depth(args.model, pick_device(args.device))
    return export_picture(next(depth_pictures([picture], network, [framing])), outputs, args.swing)


def _frame_at(path: Path, seconds: float) -> "UInt8[np.ndarray, 'h w 3']":
    """The frame whose time is the nearest to a moment before the end of the video."""
    from dagan.data.decoding import DecodeReport
    from dagan.data.timing import read_timed
    from dagan.inference.video import probe

    usual, before = 1 / probe(path).rate, None
    for frame in read_timed(path, DecodeReport()):
        if before is not None and frame.time - seconds > seconds - before.time:
            break
        before = frame
    if before is None or seconds > before.time + max(before.duration or usual, usual):
        raise UserError(f"{path} ends before {seconds:g} seconds; choose an earlier --at")
    return before.pixels


def _of_video(args: argparse.Namespace, choice: "CropChoice", outputs: "dict[str, Path]") -> Iterator[str]:
    """Writes all forms of a video, frame by frame."""
    from itertools import repeat

    from dagan.data.decoding import read_frames
    from dagan.depth.estimate import Framing, depth_pictures, load_face_depth
    from dagan.depth.export import export_video
    from dagan.inference.crop import fixed_crop
    from dagan.inference.drivers import framed, times_of
    from dagan.inference.video import probe

    info, size = probe(args.input), args.size or VIDEO_SIZE
    framings: Iterator[Framing]
    if choice == "auto":
        _, video = framed(args.input, choice)
        squares, quarter = map(tuple, video.windows.tolist()), video.track.quarter
        framings = (Framing(square, args.whole, size, args.field_of_view, quarter) for square in squares)
    else:
        square = fixed_crop(choice, (info.width, info.height), str(args.input))
        framings = repeat(Framing(square, args.whole, size, args.field_of_view))
    network = load_face_depth(args.model, pick_device(args.device))
    audio = args.input if info.has_audio else None
    pictures = depth_pictures(read_frames(args.input), network, framings)
    times = times_of(args.input, info)
    return export_video(pictures, outputs, info.rate, audio, info.num_frames_estimate, times)
