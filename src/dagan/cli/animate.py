"""`dagan animate SOURCE DRIVING -o OUT.mp4`: animates a portrait with the motion of a video or a recorded motion."""

import argparse
import json
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from dagan.cli.device import add_device_argument, add_runtime_arguments, pick_device
from dagan.cli.editing import add_edit_arguments, edit_of
from dagan.cli.marking import add_mark_arguments, identity_of, stamp_of
from dagan.cli.progress import Progress, counted
from dagan.cli.sizes import MAX_SIDE, check_size
from dagan.errors import UserError

if TYPE_CHECKING:
    from dagan.inference.animator import Animator, FrameKind, RestFrame
    from dagan.inference.crop import PhotoFraming
    from dagan.inference.drivers import Driver
    from dagan.inference.face_choice import FaceChoice
    from dagan.inference.recorded_motion import RecordedMotion
    from dagan.provenance.stamp import Stamp
    from dagan.transfer.face_edit import FaceEdit

DEFAULT_SIZE = 256
LEAST_SIDE, LARGEST_SIDE = 32, 4096  # of --max-side
SETTINGS = (
    *("motion", "rest", "adapt_scale", "crop", "driving_crop", "face", "driving_face"),
    *("frame", "max_side", "size", "amount", "parts", "expression", "turn", "translation"),
)  # for the manifest
MOST_DIGITS = 9  # of a frame's number: 463 days at 25 frames/s


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
    add(
        "--face",
        metavar="largest|N|x,y",
        default="largest",
        help="face of SOURCE: the largest (default), a number that counts from left to right, or a point in pixels",
    )
    add("--driving-face", metavar="largest|N|x,y", default="largest", help="the same for DRIVING, in its first frame")
    add("--force", action="store_true", help="animate although more than half of the driver's frames have no face")
    add("--report", metavar="OUT.json", type=Path, help="write which frames had a face, and the crop of each")
    add(
        "--frame",
        choices=["photo", "face"],
        help="photo: the whole photo, with the head alive in it (default); face: the square of --crop alone",
    )
    add(
        "--max-side",
        metavar="PIXELS",
        type=int,
        help=f"longest side of a whole photo: larger ones are shrunk (default {MAX_SIDE})",
    )
    add(
        "--size",
        metavar="PIXELS",
        type=int,
        help=f"side of the square of --frame face, which this option stands for, too (default {DEFAULT_SIZE})",
    )
    add_edit_arguments(parser)
    add_device_argument(parser)
    add_runtime_arguments(parser)
    add_mark_arguments(parser)


def run(args: argparse.Namespace) -> int:
    started = time.perf_counter()
    rest, faces = _parse_rest(args.rest or "best"), _parse_faces(args)
    edit = edit_of(args)
    _check(args)
    signer = identity_of(args)
    with Progress("preparing the model and looking for faces"):
        animator, photo, driver = _load(args, rest, faces, edit)
    if not args.force and rest != "first":
        _check_faces(driver, args.driving)
    loaded = time.perf_counter()
    motion = _watched(driver, animator)
    settings = {name: getattr(args, name) for name in SETTINGS}
    stamp = stamp_of(args, signer, settings, animator, photo.quarter)
    num_frames = _write(driver, motion, animator, photo.quarter, args.output, stamp)
    ended = time.perf_counter()
    rate = num_frames / (ended - loaded)
    print(f"{args.output}: {num_frames} frames in {ended - started:.1f} s ({rate:.1f} frames/s once loaded)")
    _report(args, photo, driver)
    return 0


def _load(
    args: argparse.Namespace, rest: "RestFrame", faces: "tuple[FaceChoice, FaceChoice]", edit: "FaceEdit"
) -> "tuple[Animator, PhotoFraming, Driver]":
    """The animator with its portrait, how the photo was framed, and the opened driver."""
    from dagan.data.pictures import read_image
    from dagan.inference.video import check_output

    check_output(args.output)
    picture = read_image(args.source)

    from concurrent.futures import ThreadPoolExecutor

    from dagan.inference.animator import Animator
    from dagan.inference.canvas import shrunk
    from dagan.inference.crop import frame_photo, parse_crop
    from dagan.inference.drivers import open_driver
    from dagan.inference.quarter_turn import turn
    from dagan.models.weights import load

    choice = parse_crop(args.crop)
    driving_choice = parse_crop(args.driving_crop or (args.crop if isinstance(choice, str) else "auto"))
    photo = frame_photo(picture, choice, faces[0], name=str(args.source))
    with ThreadPoolExecutor(1) as aside:  # looks for faces in the driving video while the engine is built
        opening = aside.submit(open_driver, args.driving, driving_choice, faces[1])
        model = load(args.model, pick_device(args.device))
        frame = _frame(args)
        animator = Animator(model, args.runtime, args.precision, args.motion, rest, args.adapt_scale, frame, edit)
        upright, crop = turn(picture, photo.quarter), photo.crop
        if frame == "photo":
            upright, crop = shrunk(upright, crop, args.max_side or MAX_SIDE)
        animator.set_source(upright, crop, args.size or DEFAULT_SIZE)
        animator.prepare()
        return animator, photo, opening.result()


def _check_faces(driver: "Driver", path: Path) -> None:
    """Raises UserError for a video of which more than half has no face."""
    from dagan.inference.drivers import check_faces

    check_faces(driver, str(path))


def _check(args: argparse.Namespace) -> None:
    """Checks what needs no file to be opened."""
    from dagan.files import check_given, check_outputs, check_place

    for kind, path in (("source image", args.source), ("driving video or motion", args.driving)):
        check_given(path, kind)
    inputs = [args.source, args.driving, *([Path(args.model)] if args.model else [])]
    check_outputs([args.output, *([args.report] if args.report else [])], inputs)
    if args.report is not None:
        check_place(args.report, "--report")
    _frame(args)
    if args.adapt_scale and args.motion == "absolute":
        raise UserError("--adapt-scale scales relative motion: leave it out, or use --motion relative")
    if args.rest is not None and args.motion == "absolute":
        raise UserError("--rest is for relative motion: leave it out, or use --motion relative")


def _frame(args: argparse.Namespace) -> "FrameKind":
    """Whether the result is the whole photo or the face's square. Raises UserError for sizes that do not fit that."""
    frame: FrameKind = args.frame or ("photo" if args.size is None else "face")
    if args.size is not None and frame == "photo":
        raise UserError("--size is the side of the face's square: use --frame face, or --max-side for the photo")
    if args.max_side is not None and frame == "face":
        raise UserError("--max-side is for whole photos: leave it out, or give --size alone for the face's square")
    if args.size is not None:
        check_size(args.size)
    if args.max_side is not None and not LEAST_SIDE <= args.max_side <= LARGEST_SIDE:
        raise UserError(f"--max-side is {args.max_side}; expected {LEAST_SIDE} to {LARGEST_SIDE} pixels")
    return frame


def _parse_rest(text: str) -> "RestFrame":
    if text in ("best", "first"):
        return "best" if text == "best" else "first"
    if text.isdecimal() and len(text) <= MOST_DIGITS:
        return int(text)
    raise UserError(f"--rest is {text!r}; expected best, first or a frame number from 0")


def _parse_faces(args: argparse.Namespace) -> "tuple[FaceChoice, FaceChoice]":
    """Which face of the photo, and which of the driving video."""
    from dagan.inference.face_choice import parse_face

    return parse_face(args.face), parse_face(args.driving_face)


def _watched(driver: "Driver", animator: "Animator") -> "RecordedMotion":
    """The driver's whole motion."""
    from dagan.inference.drivers import watched

    return watched(driver, animator, lambda frames: counted(frames, "watching the driver", driver.num_frames))


def _write(
    driver: "Driver",
    motion: "RecordedMotion",
    animator: "Animator",
    quarter: int,
    output: Path,
    stamp: "Stamp | None",
) -> int:
    """Draws and encodes frame by frame; returns the number of frames. Pictures are turned back by `quarter`."""
    from dagan.inference.quarter_turn import turn, turn_size
    from dagan.inference.video import VideoWriter

    pictures, times = animator.from_motion(motion), driver.times or ()
    size = turn_size(animator.picture_size, -quarter)
    with VideoWriter(output, driver.rate, size, driver.audio, stamp=stamp) as writer:
        for number, picture in enumerate(counted(pictures, "animating", len(motion))):
            shown = times[number] if number < len(times) else (None, None)
            writer.write(turn(picture, -quarter), *shown)
    return writer.num_frames


def _report(args: argparse.Namespace, photo: "PhotoFraming", driver: "Driver") -> None:
    """Says in a line what was out of the ordinary; writes it for each frame where that is asked for."""
    from dagan.files import write_text
    from dagan.inference.track_report import frame_reports, report_of

    said = photo.said(args.source)
    facts: dict[str, object] = {"source": {"quarter_turns": photo.quarter, "crop": list(photo.crop)}, "driving": None}
    if driver.framing is not None:
        counts = report_of(driver.framing)
        line = counts.line()
        said += [f"{args.driving}: {line}"] if line else []
        facts["driving"] = {**counts._asdict(), "per_frame": frame_reports(driver.framing)}
        if counts.is_mostly_lost:
            warnings.warn(f"more than half of {args.driving} has no face", stacklevel=2)
    if said:
        print(f"dagan: {'; '.join(said)}", file=sys.stderr)
    if args.report is not None:
        write_text(args.report, json.dumps(facts, indent=1) + "\n")
