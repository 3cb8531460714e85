"""`--plugin MODULE`: presets, recipes and loss terms from a module of the user's."""

import argparse
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from dagan.errors import UserError


def add_plugin_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="MODULE",
        help="Python module with your own PRESETS, TRAINING, RECIPES, DEPTH_RECIPES or TERMS (docs/own_training.md)",
    )


def load_plugins(names: Iterable[str]) -> None:
    """Adds the entries of the modules' tables to ours. The current folder is searched first.

    Raises:
        UserError: no such module, an error in it, none of the tables, or a name that is taken.
    """
    for name in names:
        module = _imported(name)
        given = {table: getattr(module, table) for table in tables() if hasattr(module, table)}
        if not given:
            raise UserError(f"--plugin {name}: the module has none of {', '.join(tables())}")
        for table, entries in given.items():
            known = tables()[table]
            taken = [key for key, value in entries.items() if key in known and known[key] != value]
            if taken:
                raise UserError(f"--plugin {name}: {table} already has {taken[0]!r}; choose another name")
            known.update(entries)


def tables() -> dict[str, dict[str, Any]]:
    """What a plugin can add to, by the names of its own tables."""
    from dagan.losses.objective import TERMS
    from dagan.presets import PRESETS, TRAINING
    from dagan.training.depth_recipes import DEPTH_RECIPES
    from dagan.training.recipes import RECIPES

    return {
        "PRESETS": PRESETS,
        "TRAINING": TRAINING,
        "RECIPES": RECIPES,
        "DEPTH_RECIPES": DEPTH_RECIPES,
        "TERMS": TERMS,
    }


def _imported(name: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.split(".")[0]:
            raise UserError(f"--plugin {name}: it imports {error.name}, which is not installed") from error
        raise UserError(f"--plugin {name}: no such module in {here} or among the installed ones") from error
    except Exception as error:  # whatever the user's code does wrong
        raise UserError(f"--plugin {name}: {type(error).__name__}: {error}") from error
