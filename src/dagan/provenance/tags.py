"""Tags in a file's container: a line that people and programs can read, and anybody can remove."""

import re
from pathlib import Path
from typing import NamedTuple

from dagan.errors import UserError
from dagan.images import Crop
from dagan.provenance.recipe import SOURCE_TYPE, TOOL_NAME, Recipe

FIELD = "comment"  # kept by MP4, MOV, MKV, WebM, AVI and GIF alike
_LINE = re.compile(
    rf"Synthetic: made by {TOOL_NAME} (\S{{1,40}}) .*?mark ([0-9a-f]{{6}})"
    r"(?: in (-?\d{1,6}),(-?\d{1,6}),(\d{1,6}) of (\d{1,6})x(\d{1,6}))?"
)


class Tags(NamedTuple):
    """What the tags say: our version, the payload of the mark, and the square it lies in, of pictures of (w, h)."""

    version: str
    mark: str
    square: Crop | None = None
    size: tuple[int, int] | None = None


def tags_for(recipe: Recipe, square: Crop | None, size: tuple[int, int]) -> dict[str, str]:
    """The container's tags for a video of pictures of `size` (width, height)."""
    place = f" in {square.x},{square.y},{square.size} of {size[0]}x{size[1]}" if square else ""
    line = f"Synthetic: made by {TOOL_NAME} {recipe.version} ({SOURCE_TYPE}), mark {recipe.payload.text}{place}"
    return {FIELD: line}


def read_tags(path: Path) -> Tags | None:
    """Our tags in a video, None if there are none."""
    from dagan.data.decoding import open_video

    try:
        container, _ = open_video(path)
    except UserError:
        return None
    with container:
        lines = [text for name, text in container.metadata.items() if name.lower() == FIELD]
    found = _LINE.search(" ".join(lines))
    if found is None:
        return None
    version, mark, *place = found.groups()
    if place[0] is None:
        return Tags(version, mark)
    x, y, side, width, height = map(int, place)
    return Tags(version, mark, Crop(x, y, side), (width, height))
