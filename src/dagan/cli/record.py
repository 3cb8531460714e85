"""`dagan record VIDEO -o MOTION`: the motion of a driving video as keypoints, without one of its pixels."""

import argparse
from pathlib import Path

from dagan.cli.device import add_device_argument, pick_device
from dagan.cli.sizes import check_size
from dagan.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("video", type=Path, metavar="VIDEO", help="video of one face")
    add("-o", "--out", type=Path, required=True, metavar="MOTION", help=".safetensors file, for `dagan animate PHOTO`")
    add("--model", type=Path, help="model whose keypoints are recorded (default: the bundled one)")
    add("--first", type=int, default=0, metavar="N", help="first frame, from 0 (default: 0)")
    add("--count", type=int, metavar="N", help="how many frames (default: to the end)")
    add(
        "--crop",
        metavar="none|auto|x,y,w,h",
        default="auto",
        help="square to look at: around the face unless it is a face crop already (auto, default), the middle, or "
        "around a rectangle in pixels",
    )
    add("--size", type=int, default=256, metavar="PIXELS", help="side of the frames that the model sees (default: 256)")
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    if args.first < 0 or (args.count is not None and args.count < 1):
        raise UserError(f"--first {args.first} --count {args.count}: the first frame is 0, and one frame is the least")
    check_size(args.size)
    from dataclasses import replace
    from itertools import islice

    from dagan.files import check_output, check_place
    from dagan.inference.crop import parse_crop
    from dagan.inference.drivers import cropped_frames
    from dagan.inference.recorded_motion import record_motion, save_motion
    from dagan.inference.video import probe
    from dagan.models.weights import load
    from dagan.transfer.holding import ease_frames, held_motion

    check_place(args.out)
    check_output(args.out, [args.video, *([args.model] if args.model else [])])
    rate = probe(args.video).rate
    framing, frames = cropped_frames(args.video, parse_crop(args.crop), args.size)
    chosen = islice(frames, args.first, None if args.count is None else args.first + args.count)
    motion = record_motion(load(args.model, pick_device(args.device)), chosen, rate)
    found = framing.found[args.first :][: len(motion)]
    if not found.any():
        raise UserError(f"none of these {len(motion)} frames of {args.video} shows a face; choose others")
    before = motion.at(int(found.argmax()))
    held = held_motion(motion.keypoints, found.tolist(), before, ease_frames(float(rate)))
    save_motion(replace(motion, keypoints=held), args.out)
    print(f"wrote {args.out}: {len(motion)} frames at {float(rate):g} per second, {args.out.stat().st_size} bytes")
    return 0
