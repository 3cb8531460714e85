"""`dagan animate SOURCE DRIVING -o OUT.mp4`: animates a portrait with the motion of a video or a recorded motion."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dagan.cli.device import add_device_argument, add_runtime_arguments, pick_device
from dagan.cli.progress import Progress, counted
from dagan.errors import UserError

if TYPE_CHECKING:
    from dagan.inference.animator import Animator, RestFrame
    from dagan.inference.drivers import Driver

DEFAULT_SIZE = 256  # what the bundled weights were trained at
SIZE_STEP = 32  # the networks halve an image up to five times


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("source", metavar="SOURCE", type=Path, help="portrait: a picture of the face to animate")
    add("driving", metavar="DRIVING", type=Path, help="driving video, or a recorded motion (.safetensors)")
    add("-o", "--output", metavar="OUT.mp4", type=Path, required=True, help="video to write, with the driver's sound")
    add("--model", metavar="PATH", help="model file (default: the bundled one)")
    add(
        "--motion",
        choices=["relative", "absolute"],
        default="relative",
        help="relative: the portrait moves as the driver moved since the rest frame (default); absolute: it takes over "
        "the driver's own pose and proportions",
    )
    add(
        "--rest",
        metavar="best|first|N",
        help="driver's frame from which relative motion is measured: best (default) scans the whole driver for the "
        "pose and expression closest to the portrait's; first; or a frame number from 0",
    )
    add("--adapt-scale", action="store_true", help="scale relative motion by the ratio of the two faces' sizes")
    add(
        "--crop",
        metavar="none|auto|x,y,w,h",
        default="auto",
        help="square to use: auto (default) is around the face, unless the picture is a face crop already; none is the "
        "central square; x,y,w,h is the square around a rectangle in pixels. A rectangle is for SOURCE only, auto and "
        "none are also for DRIVING",
    )
    add("--driving-crop", metavar="none|auto|x,y,w,h", help="square to use of DRIVING, if it differs from --crop")
    add("--size", metavar="PIXELS", type=int, default=DEFAULT_SIZE, help=f"side of the result (default {DEFAULT_SIZE})")
    add_device_argument(parser)
    add_runtime_arguments(parser)


def run(args: argparse.Namespace) -> int:
    started = time.perf_counter()
    rest = _parse_rest(args.rest or "best")
    _check(args)
    with Progress("loading the model and looking for the faces"):
        animator, driver = _load(args, rest)
    loaded = time.perf_counter()
    if args.motion == "relative" and rest not in ("first", 0):
        driver = _watched(driver, animator)
    num_frames = _write(driver, animator, args.output, args.size)
    ended = time.perf_counter()
    rate = num_frames / (ended - loaded)
    print(f"{args.output}: {num_frames} frames in {ended - started:.1f} s ({rate:.1f} frames/s once loaded)")
    return 0


def _load(args: argparse.Namespace, rest: "RestFrame") -> "tuple[Animator, Driver]":
    """The animator with its portrait, and the opened driver."""
    from dagan.data.pictures import read_image
    from dagan.inference.video import check_output

    check_output(args.output)
    picture = read_image(args.source)

    from concurrent.futures import ThreadPoolExecutor

    from dagan.images import apply_crop
    from dagan.inference.animator import Animator
    from dagan.inference.crop import crop_for_image, parse_crop
    from dagan.inference.drivers import open_driver
    from dagan.models.weights import load

    choice = parse_crop(args.crop)
    driving_choice = parse_crop(args.driving_crop or (args.crop if isinstance(choice, str) else "auto"))
    crop = crop_for_image(picture, choice, name=str(args.source))
    with ThreadPoolExecutor(1) as aside:  # looks for a face in the driving video while the engine is built
        opening = aside.submit(open_driver, args.driving, driving_choice, args.size)
        model = load(args.model, pick_device(args.device))
        animator = Animator(model, args.runtime, args.precision, args.motion, rest, args.adapt_scale)
        animator.set_source(apply_crop(picture, crop, args.size)[None])
        animator.prepare()
        return animator, opening.result()


def _check(args: argparse.Namespace) -> None:
    """Checks what needs no file to be opened and nothing to be imported."""
    for kind, path in (("source image", args.source), ("driving video or motion", args.driving)):
        if not path.is_file():
            raise UserError(f"no such {kind}: {path}")
        if args.output.exists() and path.samefile(args.output):
            raise UserError(f"the output would replace the {kind}: {path}; choose another name")
    if args.size < SIZE_STEP or args.size % SIZE_STEP:
        raise UserError(f"--size must be a multiple of {SIZE_STEP}, such as {DEFAULT_SIZE}; got {args.size}")
    if args.adapt_scale and args.motion == "absolute":
        raise UserError("--adapt-scale scales relative motion: leave it out, or use --motion relative")
    if args.rest is not None and args.motion == "absolute":
        raise UserError("--rest is for relative motion: leave it out, or use --motion relative")


def _parse_rest(text: str) -> "RestFrame":
    if text in ("best", "first"):
        return "best" if text == "best" else "first"
    if text.isdecimal():
        return int(text)
    raise UserError(f"--rest is {text}; expected best, first or a frame number from 0")


def _watched(driver: "Driver", animator: "Animator") -> "Driver":
    """The driver with its whole motion recorded."""
    from dagan.inference.recorded_motion import RecordedMotion

    if isinstance(driver.by, RecordedMotion):
        return driver
    frames = counted(driver.by, "scanning the driving video", driver.num_frames)
    motion = animator.watch(frames, driver.rate)
    return driver._replace(by=motion, num_frames=len(motion))


def _write(driver: "Driver", animator: "Animator", output: Path, size: int) -> int:
    """Draws and encodes frame by frame; returns the number of frames."""
    from dagan.inference.video import VideoWriter

    with VideoWriter(output, driver.rate, (size, size), driver.audio) as writer:
        for picture in counted(driver.drive(animator), "animating", driver.num_frames):
            writer.write(picture)
    return writer.num_frames
