"""Tables and lists of a report as Markdown that also reads as plain text."""

import re
from collections.abc import Sequence

ABSENT = "-"  # a number that was not measured
_SPECIAL = re.compile(r"[\\`*\[\]|~]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escaped(text: str) -> str:
    """Text that is not ours, such as a file name: on one line, without any meaning in Markdown or HTML."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    marked = _SPECIAL.sub(lambda found: f"\\{found[0]}", printable)
    return re.sub("[&<>]", lambda found: _ENTITIES[found[0]], marked)


def row(cells: Sequence[str]) -> str:
    """A line of a table. Cells that hold names must be `escaped`."""
    return f"| {' | '.join(cells)} |"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], num_right: int | None = None) -> list[str]:
    """The lines of a table whose first column stands left and the next `num_right` (all others) right."""
    count = len(heads) - 1 if num_right is None else num_right
    aligned = ["---", *["---:"] * count, *["---"] * (len(heads) - 1 - count)]
    return [row(heads), row(aligned), *map(row, rows)]


def bullets(lines: Sequence[str]) -> list[str]:
    """The lines of a list, escaped."""
    return [f"- {escaped(line)}" for line in lines]


def number(value: float | None, decimals: int) -> str:
    return ABSENT if value is None else f"{value:.{decimals}f}"


def interval_text(interval: tuple[float, float] | None, decimals: int) -> str:
    return ABSENT if interval is None else f"{interval[0]:.{decimals}f} to {interval[1]:.{decimals}f}"
