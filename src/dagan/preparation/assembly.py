"""All units put together: people, duplicates, exclusions and splits, then files, manifest and pages.

It depends on the archives alone, so that it gives the same whoever made them, and in whatever order.
"""

import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dagan.errors import UserError
from dagan.files import write_text, written_whole
from dagan.preparation.archives import LANDMARKS, THUMBNAIL, Embeddings, read_clips, read_contents, read_member
from dagan.preparation.duplicates import Expressions, find_duplicates
from dagan.preparation.people import check_splits, name_people, split_people
from dagan.preparation.rows import FIELDS, Row, to_lines
from dagan.preparation.sheets import write_pages
from dagan.preparation.storing import Kept, store_landmarks, store_shards, store_videos

MANIFEST, TABLE = "manifest.jsonl", "manifest.parquet"


class Choice(NamedTuple):
    """How clips are put together: shares of people for validation and test, and `shards` of so many bytes, or 0 for
    mp4 files."""

    validation: float = 0.05
    test: float = 0.0
    shard_bytes: int = 0


def assemble(out: Path, archives: Sequence[Path], choice: Choice) -> list[Row]:
    """The rows of the manifest, after everything is written. Raises UserError as `split_people` does."""
    rows, places, embeddings = _read(archives)
    rows = settled(rows, embeddings, lambda row: _expressions(places[row.name], row), choice)
    check_splits(rows)
    kept = [Kept(row, places[row.name]) for row in rows if not row.reason]
    if choice.shard_bytes:
        files = store_shards(out, kept, choice.shard_bytes)
        store_videos(out, [])
    else:
        files = store_videos(out, kept)
        store_shards(out, [], 0)
    store_landmarks(out, kept)
    rows = [replace(row, file=files.get(row.name, "")) for row in rows]
    write_text(out / MANIFEST, to_lines(rows))
    write_table(out / TABLE, rows)
    write_pages(rows, out, lambda row: _thumbnail(places[row.name], row))
    return rows


def settled(
    rows: Sequence[Row], embeddings: Embeddings, expressions: Callable[[Row], Expressions], choice: Choice
) -> list[Row]:
    """Rows by name, with people, splits and what only all clips together show: duplicates."""
    kept = [row for row in rows if not row.reason]
    people = name_people(kept, embeddings)
    clips = Counter(people[row.name] for row in kept)
    again = [row for row in kept if clips[people[row.name]] > 1]
    twice = find_duplicates(again, people, {row.name: expressions(row) for row in again})
    splits = split_people([row for row in kept if row.name not in twice], people, choice.validation, choice.test)
    found = []
    for row in sorted(rows, key=lambda row: row.name):
        if row.name in twice:
            found.append(replace(row, reason="duplicate", detail=twice[row.name], person=people[row.name], split=""))
        elif not row.reason:
            found.append(replace(row, person=people[row.name], split=splits[people[row.name]]))
        else:
            found.append(row)
    return found


def _read(archives: Sequence[Path]) -> tuple[list[Row], dict[str, Path], Embeddings]:
    rows: list[Row] = []
    places: dict[str, Path] = {}
    embeddings: Embeddings = {}
    for path in archives:
        contents = read_contents(path)
        if contents is None:
            raise UserError(f"{path} is damaged; delete it and run the same command again")
        for row in contents.rows:
            if row.name in places:
                raise UserError(f"two clips are called {row.name}, in {places[row.name]} and {path}")
            places[row.name] = path
        rows += contents.rows
        embeddings |= contents.embeddings
    return rows, places, embeddings


def _expressions(archive: Path, row: Row) -> Expressions:
    """Of the clip's frames; those without a face are left as they are stored, zeros."""
    _, content = next(read_clips(archive, [row.name], LANDMARKS))
    with np.load(io.BytesIO(content), allow_pickle=False) as track:
        return np.asarray(track["blendshapes"], np.float32)


def _thumbnail(archive: Path, row: Row) -> bytes | None:
    try:
        return read_member(archive, f"{row.name}{THUMBNAIL}")
    except UserError:  # of an excluded person, or of an unreadable file
        return None


def write_table(path: Path, rows: Sequence[Row]) -> bool:
    """The manifest as Parquet; False where PyArrow is not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        path.unlink(missing_ok=True)
        return False
    kinds = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64()}
    schema = pyarrow.schema([(name, kinds[kind]) for name, kind in FIELDS.items()])
    table = pyarrow.Table.from_pylist([asdict(row) for row in rows], schema)
    with written_whole(path) as partial:
        pyarrow.parquet.write_table(table, partial)
    return True
