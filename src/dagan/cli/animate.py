"""`dagan animate SOURCE DRIVING -o OUT.mp4`: a portrait moved as a video, or a recorded motion, moves."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dagan.cli.device import add_device_argument, pick_device
from dagan.errors import UserError

if TYPE_CHECKING:
    from dagan.inference.animator import RestFrame
    from dagan.inference.drivers import Driver
    from dagan.inference.performance import Performer

DEFAULT_SIZE = 256  # what the bundled weights were trained at
SIZE_STEP = 32  # the networks halve an image up to five times


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("source", metavar="SOURCE", type=Path, help="picture of the face to move")
    add("driving", metavar="DRIVING", type=Path, help="video that moves it, or a recorded motion (.safetensors)")
    add("-o", "--output", metavar="OUT.mp4", type=Path, required=True, help="video to write; sound is kept")
    add("--model", metavar="PATH", help="weights (default: those of the package)")
    add(
        "--motion",
        choices=["relative", "absolute"],
        default="relative",
        help="relative: what the driver did since its rest frame (default); absolute: the driver's own pose",
    )
    add(
        "--rest",
        metavar="best|first|N",
        help="the driver's frame that relative motion counts from: the one most like the photo in pose and expression "
        "(best, default: the whole video is looked at first), the first one, or a number from 0",
    )
    add("--adapt-scale", action="store_true", help="scale relative motion by how large the two faces are")
    add(
        "--crop",
        metavar="none|auto|x,y,w,h",
        default="auto",
        help="square to use: around the face unless it is a face crop already (auto, default), the middle (none), or "
        "around a rectangle in pixels. A rectangle is meant for SOURCE; the others are for DRIVING, too",
    )
    add("--driving-crop", metavar="none|auto|x,y,w,h", help="the same for DRIVING alone")
    add("--size", metavar="PIXELS", type=int, default=DEFAULT_SIZE, help=f"side of the result (default {DEFAULT_SIZE})")
    add_device_argument(parser)
    add(
        "--runtime",
        choices=["auto", "torch", "onnx", "openvino"],
        default="auto",
        help="what computes: auto is OpenVINO where it is installed (pip install 'dagan[fast]') and the processor has "
        "bfloat16, else PyTorch (default); onnx is ONNX Runtime",
    )
    add(
        "--precision",
        choices=["auto", "fp32", "bf16", "int8"],
        default="auto",
        help="auto: bfloat16 where the processor has it (default); fp32: to the last digit; int8: faster, with "
        "OpenVINO",
    )


def run(args: argparse.Namespace) -> int:
    started = time.perf_counter()
    rest = _parse_rest(args.rest or "best")
    _check(args)
    from dagan.data.pictures import read_image
    from dagan.inference.video import check_output

    check_output(args.output)
    picture = read_image(args.source)

    from concurrent.futures import ThreadPoolExecutor

    from dagan.images import apply_crop
    from dagan.inference.crop import crop_for_image, parse_crop
    from dagan.inference.drivers import open_driver
    from dagan.inference.performance import perform
    from dagan.models.weights import load

    choice = parse_crop(args.crop)
    driving_choice = parse_crop(args.driving_crop or (args.crop if isinstance(choice, str) else "auto"))
    crop = crop_for_image(picture, choice, name=str(args.source))
    with ThreadPoolExecutor(1) as aside:  # a face is looked for in the driving video while the networks get ready
        opening = aside.submit(open_driver, args.driving, driving_choice, args.size)
        model, source = load(args.model, pick_device(args.device)), apply_crop(picture, crop, args.size)[None]
        performer = perform(model, source, args.motion, args.adapt_scale, args.runtime, args.precision, rest)
        driver = opening.result()
    loaded = time.perf_counter()
    if args.motion == "relative" and rest not in ("first", 0):
        driver = _watched(driver, performer)
    num_frames = _write(driver, performer, args.output, args.size)
    ended = time.perf_counter()
    rate = num_frames / (ended - loaded)
    print(f"{args.output}: {num_frames} frames in {ended - started:.1f} s ({rate:.1f} frames/s once loaded)")
    return 0


def _check(args: argparse.Namespace) -> None:
    """What can be known without opening a file or importing anything."""
    for kind, path in (("source image", args.source), ("driving video or motion", args.driving)):
        if not path.is_file():
            raise UserError(f"no such {kind}: {path}")
        if args.output.exists() and path.samefile(args.output):
            raise UserError(f"the output would replace the {kind}: {path}; choose another name")
    if args.size < SIZE_STEP or args.size % SIZE_STEP:
        raise UserError(f"--size must be a multiple of {SIZE_STEP}, such as {DEFAULT_SIZE}; got {args.size}")
    if args.adapt_scale and args.motion == "absolute":
        raise UserError("--adapt-scale scales relative motion; leave it out or use --motion relative")
    if args.rest is not None and args.motion == "absolute":
        raise UserError("--rest is the frame that relative motion counts from; leave it out or use --motion relative")


def _parse_rest(text: str) -> "RestFrame":
    if text in ("best", "first"):
        return "best" if text == "best" else "first"
    if text.isdecimal():
        return int(text)
    raise UserError(f"--rest must be best, first or the number of a frame, from 0; got {text}")


def _watched(driver: "Driver", performer: "Performer") -> "Driver":
    """The driver with all of its motion known."""
    from tqdm import tqdm

    from dagan.inference.recorded_motion import Motion

    if isinstance(driver.by, Motion):
        return driver
    watching = tqdm(driver.by, "watching the driver", driver.num_frames, unit="frame", disable=None, leave=False)
    motion = performer.watch(iter(watching), driver.rate)
    return driver._replace(by=motion, num_frames=len(motion))


def _write(driver: "Driver", performer: "Performer", output: Path, size: int) -> int:
    """Renders and encodes frame by frame; the number of frames."""
    from tqdm import tqdm

    from dagan.inference.video import VideoWriter

    with VideoWriter(output, driver.rate, (size, size), driver.audio) as writer:
        pictures = driver.drive(performer)
        for picture in tqdm(pictures, total=driver.num_frames, unit="frame", disable=None, leave=False):
            writer.write(picture)
    return writer.num_frames
