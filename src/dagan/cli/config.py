"""`dagan config list` and `dagan config show PRESET`: the named models, and one of them as JSON."""

import argparse
import sys

from dagan.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="print the names of all presets", allow_abbrev=False)
    show = actions.add_parser("show", help="print one preset as JSON", allow_abbrev=False)
    show.add_argument("preset", metavar="PRESET", help="a name that `dagan config list` prints")


def run(args: argparse.Namespace) -> int:
    import json

    from dagan.config import to_plain
    from dagan.presets import PRESETS

    if args.action == "list":
        sys.stdout.write("".join(f"{name}\n" for name in PRESETS))
        return 0
    if args.preset not in PRESETS:
        raise UserError(f"no preset {args.preset!r}; there are: {', '.join(PRESETS)}")
    sys.stdout.write(json.dumps(to_plain(PRESETS[args.preset]), indent=2) + "\n")
    return 0
