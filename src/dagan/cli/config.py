"""`dagan config list` and `dagan config show PRESET`: the named models and recipes, and one of the models as JSON."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dagan.cli.plugins import add_plugin_argument, load_plugins
from dagan.errors import UserError

if TYPE_CHECKING:
    from dagan.models.families import ModelConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="print all presets and recipes with what they are", allow_abbrev=False)
    show = actions.add_parser("show", help="print one preset's model as JSON", allow_abbrev=False)
    show.add_argument("preset", metavar="PRESET", help="a name that `dagan config list` prints")
    for action in (listing, show):
        add_plugin_argument(action)


def run(args: argparse.Namespace) -> int:
    import json

    from dagan.config import to_plain
    from dagan.presets import PRESETS

    load_plugins(args.plugin)
    if args.action == "list":
        sys.stdout.write(listing())
        return 0
    if args.preset not in PRESETS:
        raise UserError(f"no preset {args.preset!r}; there are: {', '.join(PRESETS)}")
    sys.stdout.write(json.dumps(to_plain(PRESETS[args.preset]), indent=2) + "\n")
    return 0


def listing() -> str:
    """The presets with parameters, recipe, weights and description, then the recipes of both stages."""
    from dagan.cli.settings import training_of
    from dagan.models.families import depth_of
    from dagan.presets import PRESETS
    from dagan.training.depth_recipes import DEPTH_RECIPES
    from dagan.training.recipes import RECIPES

    presets = [("PRESET", "PARAMETERS", "RECIPE", "DEPTH RECIPE", "WEIGHTS", "WHAT IT IS")]
    for name, model in PRESETS.items():
        brings = training_of(name)
        depth = brings.depth_recipe if depth_of(model) is not None else "-"
        presets.append((name, size_of(model), brings.recipe, depth, brings.weights, brings.description))
    recipes = [("RECIPE of `dagan train`", "WHAT IT IS"), *((name, it.description) for name, it in RECIPES.items())]
    depths = [("RECIPE of `dagan train-depth`", "WHAT IT IS")]
    depths += [(name, it.description) for name, it in DEPTH_RECIPES.items()]
    return "\n".join(columns(rows) for rows in (presets, recipes, depths))


def size_of(config: "ModelConfig") -> str:
    """Millions of parameters."""
    import torch

    with torch.device("meta"):
        model = config.build()
    return f"{sum(parameter.numel() for parameter in model.parameters()) / 1e6:.1f} M"


def columns(rows: Sequence[tuple[str, ...]]) -> str:
    """The rows below each other, each column as wide as its widest entry."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "".join(f"{line}\n" for line in lines)
