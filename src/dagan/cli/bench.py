"""`dagan bench SUBJECT`: how fast a thing is on this machine; each subject is in cli/bench_<subject>.py."""

import argparse
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from dagan.cli.main import Command

SUBJECTS = {  # name: help
    "animate": "a frame of animation: naive, and by each runtime and precision; memory, agreement, the floor",
    "train": "a step of stage 2: samples/s, the share of each network and loss, memory",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    subjects = parser.add_subparsers(dest="subject", metavar="SUBJECT", required=True)
    for name, summary in SUBJECTS.items():
        description = f"Measure {summary}."
        subject = subjects.add_parser(name, help=summary, description=description, allow_abbrev=False)
        subject.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        _load(name).add_arguments(subject)


def run(args: argparse.Namespace) -> int:
    return _load(args.subject).run(args)


def _load(name: str) -> "Command":
    return cast("Command", import_module(f"dagan.cli.bench_{name}"))
