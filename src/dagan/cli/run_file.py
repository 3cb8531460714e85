"""`--config FILE`: a run's own config.json, or a part of one, in the place of options."""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from dagan.errors import UserError


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What a run has for options that neither the command line nor the file gives."""

    preset: str | None = None
    seed: int = 0
    size: int | None = None
    clips: tuple[str, ...] = ()
    landmarks: tuple[str, ...] | None = None
    validation: float = 0.03
    synthetic: int = 0
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    accumulate: int = 1
    clip: float | None = None
    ema: float = 0.999


NAMES = tuple(field.name for field in fields(RunOptions))
PATHS = ("clips", "landmarks")
STEP = ("precision", "accumulate", "clip", "ema")  # under "step" in the file


def settle_options(args: argparse.Namespace, parts: Mapping[str, Any]) -> None:
    """Fills in the options that were not given, from --config where it has them.

    `parts`: the types of the parts that the stage has, by their names in the file; `args.given` has those of the file.

    Raises:
        UserError: the file cannot be read, or something in it is unknown or does not fit.
    """
    from dagan.config import from_plain, one_of

    plain = read_plain(args.config) if args.config else {}
    of_step = plain.pop("step", {})
    if not isinstance(of_step, dict):
        raise UserError(f"{args.config}: step is {of_step!r}; expected {', '.join(STEP)}")
    plain |= of_step
    facts = ("perceptual",)  # which network it was: found again, and compared
    unknown = [name for name in plain if name not in {*NAMES, *parts, *facts}]
    if unknown:
        raise UserError(f"{args.config} has {unknown[0]!r}; expected some of: {', '.join([*NAMES, *parts])}")
    options = from_plain(RunOptions, {name: value for name, value in plain.items() if name in NAMES}, "--config")
    if args.preset is not None:  # and so the parts that it brings
        parts = {}
    elif args.recipe is not None:
        parts = {name: kind for name, kind in parts.items() if name != "recipe"}
    for name in NAMES:
        if hasattr(args, name) and getattr(args, name) in (None, []):
            value = getattr(options, name)
            setattr(args, name, [Path(path) for path in value] if name in PATHS and value else value)
    args.given = {name: one_of(kind, plain[name], name) for name, kind in parts.items() if name in plain}


def read_plain(path: Path) -> dict[str, Any]:
    """The file's JSON object. Raises UserError."""
    try:
        plain = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON: {error}; --config takes a run's config.json") from error
    if not isinstance(plain, dict):
        raise UserError(f"{path} is not a JSON object; --config takes a run's config.json")
    return plain
