"""`dagan COMMAND ...`: finds the command's file, runs it, and turns what a user can get wrong into one line.

Only the standard library is imported before a command is chosen, and only `errors` by the commands before they run, so
that help and usage errors come at once.
"""

import argparse
import io
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword
from typing import Protocol, cast, runtime_checkable

from dagan import __version__
from dagan.cli.stopping import ended_by_signals
from dagan.errors import Ended, UserError

COMMANDS = {  # name: help; the code is in dagan/cli/<name>.py; see _load for names that Python cannot have
    "animate": "animate a portrait with the motion of a video or of a recorded motion",
    "pose": "change the expression or the turn of a head in a photo",
    "verify": "say whether this tool made a video or a picture: manifest, tags, invisible mark",
    "record": "store the motion of a driving video, without its pictures",
    "depth": "write the depth of a portrait: map, numbers, point cloud, mesh, moving camera",
    "train-depth": "stage 1: learn depth and camera motion from face videos",
    "train": "stage 2: learn to animate, with the depth network of stage 1",
    "train-retargeting": "learn how expressions move a model's keypoints, before the last phase of stage 2",
    "finetune": "adapt a model to one person, in minutes, from a video of them",
    "evaluate": "measure a model on a folder of clips",
    "evaluate-depth": "measure a depth network on heads of known depth and on real clips",
    "compare": "compare two results of `evaluate`, pair by pair",
    "ablate": "train and measure the variants of the paper's Table 4",
    "figure": "draw the paper's figures: depth, point clouds, attention, comparisons",
    "import": "convert a published checkpoint to a model file",
    "export": "write a model as ONNX graphs, to run without PyTorch",
    "fetch": "download the file of a helper network into the cache",
    "data": "draw lists of test pairs, pack clips into shards",
    "prepare": "make clips to train on from raw videos",
    "landmarks": "find the face landmarks of clips, to train with",
    "stills": "make clips to train on from photos",
    "bench": "measure how fast a model animates on this machine",
    "config": "show the presets",
}
# NumPy's small matrix products: two threads would wait for each other, and for the networks, six times as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
BUG = 1  # an error that nobody foresaw
USER_ERROR = 2  # what argparse exits with, too
SIGNALLED = 128  # plus the signal's number, as shells report it


@runtime_checkable
class Command(Protocol):
    """What each command's file has."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0; 2 for a user's mistake; 130, 143 or 129 when a signal ended it
    (Ctrl-C, SIGTERM, SIGHUP); 1 for an error of our own."""
    _show_any_name()
    words = list(sys.argv[1:] if argv is None else argv)
    args = _parser(words).parse_args(words)
    try:
        with warnings.catch_warnings(), ended_by_signals():
            warnings.showwarning = _show_warning
            return _load(args.command).run(args)
    except (UserError, OSError) as error:
        if args.debug:
            raise
        print(f"dagan: error: {_one_line(error)}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt as interrupt:
        if args.debug:
            raise
        print(f"dagan: {interrupt if isinstance(interrupt, Ended) else 'interrupted'}", file=sys.stderr)
        return SIGNALLED + (interrupt.number if isinstance(interrupt, Ended) else signal.SIGINT)
    except Exception as error:
        if args.debug:
            raise
        what = f"{type(error).__name__}: {_one_line(error)}".removesuffix(": ")
        print(f"dagan: error: this is a bug: {what}; run again with --debug to see where", file=sys.stderr)
        return BUG


def _show_any_name() -> None:
    """A name that the terminal's encoding does not have (bytes that are not UTF-8) is shown with backslashes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """All commands by name; the arguments only of the one that `words` chooses."""
    parser = argparse.ArgumentParser(
        prog="dagan",
        description="Depth-aware talking heads: one photo and a driving video in, a living portrait out.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"dagan {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((word for word in words if not word.startswith("-")), None)
    for name, summary in COMMANDS.items():
        description = f"{summary[0].upper()}{summary[1:]}."
        command = commands.add_parser(name, help=summary, description=description, allow_abbrev=False)
        command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        if name == chosen:
            _load(name).add_arguments(command)
    return parser


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """A warning as one line, without the place in the code that gave it."""
    print(f"dagan: warning: {_one_line(message)}", file=sys.stderr)


def _one_line(message: object) -> str:
    if isinstance(message, OSError) and message.strerror:  # without its number
        message = f"{message.strerror}: {message.filename}" if message.filename else message.strerror
    return " ".join(str(message).split())


def _load(name: str) -> Command:
    module = name.replace("-", "_") + "_" * iskeyword(name)  # train-depth: train_depth, import: import_
    return cast(Command, import_module(f"dagan.cli.{module}"))
