"""`dagan pose PHOTO -o OUT`: another expression or another turn of the head, as a picture; no driver is needed."""

import argparse
import sys
from pathlib import Path

from dagan.cli.device import add_device_argument, pick_device
from dagan.cli.editing import add_pose_arguments, pose_of
from dagan.cli.marking import add_mark_arguments, identity_of, stamp_of
from dagan.cli.progress import Progress
from dagan.cli.sizes import MAX_SIDE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("source", metavar="PHOTO", type=Path, help="picture of the face to change")
    add("-o", "--output", metavar="OUT.png", type=Path, required=True, help="picture to write: .png or .jpg")
    add_pose_arguments(parser)
    add("--model", metavar="PATH", help="model file (default: the bundled one)")
    add("--crop", metavar="none|auto|x,y,w,h", default="auto", help="square to move: around the face (auto, default)")
    add("--face", metavar="largest|N|x,y", default="largest", help="which face, as for `dagan animate`")
    add_device_argument(parser)
    add_mark_arguments(parser)


def run(args: argparse.Namespace) -> int:
    edit = pose_of(args)
    from dagan.files import check_given, check_output
    from dagan.images import check_target

    check_given(args.source, "photo")
    check_target(args.output)
    check_output(args.output, [args.source, *([Path(args.model)] if args.model else [])])
    signer = identity_of(args)
    with Progress("preparing the model and looking for a face"):
        from dagan.data.pictures import read_image
        from dagan.inference.animator import Animator
        from dagan.inference.canvas import shrunk
        from dagan.inference.crop import frame_photo, parse_crop
        from dagan.inference.face_choice import parse_face
        from dagan.inference.quarter_turn import turn
        from dagan.models.weights import load
        from dagan.provenance.stamp import write_picture

        photo = read_image(args.source)
        framing = frame_photo(photo, parse_crop(args.crop), parse_face(args.face), name=str(args.source))
        animator = Animator(load(args.model, pick_device(args.device)), "torch", "fp32", edit=edit)
        upright, crop = shrunk(turn(photo, framing.quarter), framing.crop, MAX_SIDE)
        animator.set_source(upright, crop)
        picture = turn(animator.pose(), -framing.quarter)
    args.driving = args.source  # the photo moves itself
    settings = {"expression": args.expression, "turn": args.turn}
    stamp = stamp_of(args, signer, settings, animator, framing.quarter)
    write_picture(picture, args.output, stamp)
    print(f"wrote {args.output}")
    said = framing.said(args.source)
    if said:
        print(f"dagan: {'; '.join(said)}", file=sys.stderr)
    return 0
