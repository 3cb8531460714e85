"""Files to write: they appear whole or not at all, and none replaces an input."""

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dagan.errors import UserError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to: it takes the name when the block ends well, and is removed otherwise."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """A text file in one step: a reader sees the old one or the new one."""
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def check_output(path: Path, inputs: Iterable[Path]) -> None:
    """Refuses an output that is one of the inputs, under whatever name or link: no command replaces an input.

    Raises:
        UserError: `path` is the same file or folder as one of `inputs`.
    """
    if not path.exists():
        return
    for given in inputs:
        if given.exists() and path.samefile(given):
            raise UserError(f"the output would replace the input {given}; choose another name")
