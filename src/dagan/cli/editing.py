"""`--amount`, `--parts`, `--expression`, `--turn` and `--translation`: how much moves, and what is added."""

import argparse
from typing import TYPE_CHECKING

from dagan.errors import UserError

if TYPE_CHECKING:
    from dagan.transfer.face_edit import FaceEdit

MOST_AMOUNT = 3.0


def add_pose_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--expression",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="add to an expression, such as smile=0.4 or mouthSmileLeft=-0.2: one of fifteen ARKit coefficients, or "
        "smile, blink, brows, frown, jaw, pucker, lowerLip, upperLip for both sides; the result stays in 0 to 1; "
        "may be given several times",
    )
    add(
        "--turn",
        metavar="ANGLE=DEGREES",
        action="append",
        default=[],
        help="turn the head: yaw=10 adds, yaw==10 sets the angle itself; yaw is to the viewer's right, pitch down, "
        "roll clockwise; may be given several times",
    )


def add_edit_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--amount", metavar="SHARE", type=float, default=1.0, help="how much of the driver's motion, 0 to 3 (default 1)"
    )
    add(
        "--parts",
        metavar="head,eyes,brows,mouth",
        default="head,eyes,brows,mouth",
        help="what follows the driver (default: all)",
    )
    add_pose_arguments(parser)
    add(
        "--translation",
        choices=["keep", "damp", "none"],
        default="damp",
        help="how far the head moves across the photo: keep, as the driver's; damp, held back where the shoulders "
        "could not follow (default); none",
    )


def edit_of(args: argparse.Namespace) -> "FaceEdit":
    """What the options of `add_edit_arguments` ask for. Raises UserError for what cannot be."""
    from dagan.transfer.face_edit import FaceEdit, parse_expression, parse_parts, parse_turn

    if not 0 <= args.amount <= MOST_AMOUNT:
        raise UserError(f"--amount is {args.amount:g}; expected 0 to {MOST_AMOUNT:g}")
    by, to = parse_turn(args.turn)
    return FaceEdit(
        amount=args.amount,
        parts=parse_parts(args.parts),
        expression=parse_expression(args.expression),
        turn_by=by,
        turn_to=to,
        translation=args.translation,
    )


def pose_of(args: argparse.Namespace) -> "FaceEdit":
    """What the options of `add_pose_arguments` ask for. Raises UserError for what cannot be, or if that is nothing."""
    from dagan.transfer.face_edit import FaceEdit, parse_expression, parse_turn

    by, to = parse_turn(args.turn)
    edit = FaceEdit(expression=parse_expression(args.expression), turn_by=by, turn_to=to)
    if edit == FaceEdit():
        raise UserError("nothing to change: give --expression, such as smile=0.5, or --turn, such as yaw=10")
    return edit
