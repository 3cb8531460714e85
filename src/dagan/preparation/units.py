"""The unit of work: one raw video, or what a list wants of it, to one archive of clips and their rows."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dagan.data.decoding import VIDEO_SUFFIXES
from dagan.errors import UserError

RAW_SUFFIXES = VIDEO_SUFFIXES | {".m4v", ".mpg", ".mpeg", ".ts", ".mts", ".flv", ".wmv", ".3gp"}
LONGEST_STEM = 80


@dataclass(frozen=True)
class Wanted:
    """What a list wants of a raw video: seconds from `start` to `end`, of one person, who is in `box` (x, y, width,
    height as shares of the frame). `exact`: the box is the crop. Empty or None: not stated."""

    name: str
    person: str = ""
    start: float = 0.0
    end: float = float("inf")
    box: tuple[float, float, float, float] | None = None
    split: str = ""
    exact: bool = False


@dataclass(frozen=True)
class Unit:
    """One raw video. `key` names its archive, `source` is how the manifest calls it."""

    path: Path
    source: str
    key: str
    wanted: tuple[Wanted, ...] = ()


def find_units(raws: Sequence[Path]) -> list[Unit]:
    """Every video in files and folders, at any depth, sorted by key.

    Raises:
        UserError: no such file or folder, or no video in it.
    """
    units: dict[str, Unit] = {}
    for raw in raws:
        for path, source in _videos(raw):
            unit = Unit(path.absolute(), source, key_of(source))
            if units.setdefault(unit.key, unit).path != unit.path:
                raise UserError(f"two raw files are called {source}: {units[unit.key].path} and {path}; rename one")
    return [units[key] for key in sorted(units)]


def key_of(source: str) -> str:
    """A name for files: the source's, made harmless, and a mark that differs where only harm did."""
    stem = re.sub(r"[^A-Za-z0-9-]+", "_", str(Path(source).with_suffix(""))).strip("_")[-LONGEST_STEM:]
    return f"{re.sub('_+', '_', stem)}-{hashlib.sha256(source.encode()).hexdigest()[:6]}"


def _videos(raw: Path) -> list[tuple[Path, str]]:
    if raw.is_file():
        return [(raw, raw.name)]
    if not raw.is_dir():
        raise UserError(f"no such file or folder of raw videos: {raw}")
    found = [
        path
        for path in sorted(raw.rglob("*"))
        if path.suffix.lower() in RAW_SUFFIXES and path.is_file() and not path.name.startswith(".")
    ]
    if not found:
        raise UserError(f"no videos in {raw}: expected files ending in {' '.join(sorted(RAW_SUFFIXES))}")
    return [(path, path.relative_to(raw).as_posix()) for path in found]
