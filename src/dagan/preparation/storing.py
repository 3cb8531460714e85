"""Where kept clips go: mp4 files in a folder for each split, or WebDataset shards there; both hold the same clips."""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from dagan.data.clips import Clip
from dagan.data.packing import ShardWriter
from dagan.data.seeking import index_video
from dagan.data.storing import Member, Prepared, key_of
from dagan.files import write_text, written_whole
from dagan.preparation.archives import LANDMARKS, VIDEO, read_clips
from dagan.preparation.rows import Row

CONTENTS = "contents.json"  # of the shards of a split: what they were made of
LANDMARK_FOLDER = "landmarks"


class Kept(NamedTuple):
    """A clip that is kept and the archive that holds it."""

    row: Row
    archive: Path


def clip_name(row: Row) -> str:
    """What a clip is called in the end: the person, then the clip."""
    return f"{row.person}__{row.name}"


def store_videos(out: Path, kept: Sequence[Kept]) -> dict[str, str]:
    """An mp4 for each clip, out/SPLIT/PERSON__NAME.mp4; files of clips that are no longer kept go. Returns the path
    of each clip's file below `out`."""
    files = {entry.row.name: f"{entry.row.split}/{clip_name(entry.row)}{VIDEO}" for entry in kept}
    missing = [entry for entry in kept if not _is_stored(out / files[entry.row.name], entry.row)]
    for row, content in _contents(missing, VIDEO):
        _write(out / files[row.name], content)
    _remove_others(out, {out / file for file in files.values()}, f"*__*{VIDEO}")
    return files


def _is_stored(file: Path, row: Row) -> bool:
    if not file.is_file():
        return False
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == row.sha256


def store_landmarks(out: Path, kept: Sequence[Kept]) -> None:
    """The landmarks of each clip, out/landmarks/PERSON__NAME.npz, for `dagan train --landmarks`."""
    folder = out / LANDMARK_FOLDER
    files = {entry.row.name: folder / f"{clip_name(entry.row)}{LANDMARKS}" for entry in kept}
    for row, content in _contents([entry for entry in kept if not files[entry.row.name].is_file()], LANDMARKS):
        _write(files[row.name], content)
    for file in folder.glob(f"*{LANDMARKS}"):
        if file not in files.values():
            file.unlink()


def store_shards(out: Path, kept: Sequence[Kept], shard_bytes: int) -> dict[str, str]:
    """Shards of each split, out/SPLIT/shard-000000.tar with an index beside each; made anew when their clips change.
    Returns each clip's place: the split's folder."""
    for split in sorted({entry.row.split for entry in kept} | {path.parent.name for path in out.glob(f"*/{CONTENTS}")}):
        chosen = [entry for entry in kept if entry.row.split == split]
        folder = out / split
        wanted = json.dumps([shard_bytes, *((clip_name(entry.row), entry.row.sha256) for entry in chosen)])
        if (folder / CONTENTS).is_file() and (folder / CONTENTS).read_text() == wanted:
            continue
        folder.mkdir(exist_ok=True)
        for old in (folder / CONTENTS, *folder.glob("shard-*.tar"), *folder.glob("shard-*.json")):
            old.unlink(missing_ok=True)
        if chosen:
            _pack(folder, chosen, shard_bytes)
            write_text(folder / CONTENTS, wanted)
    return {entry.row.name: entry.row.split for entry in kept}


def _pack(folder: Path, chosen: Sequence[Kept], shard_bytes: int) -> None:
    writer = ShardWriter(folder, 0, shard_bytes)
    try:
        for row, content in _contents(chosen, VIDEO):
            name = clip_name(row)
            clip = Clip(folder / name, row.person, name)
            member = Member(f"{key_of(clip)}{VIDEO}", content)
            writer.add(clip, Prepared([member], index_video(member.name, io.BytesIO(content)), None))
        writer.finish()
    finally:
        writer.discard()


def _contents(kept: Iterable[Kept], suffix: str) -> Iterator[tuple[Row, bytes]]:
    """Clips' files, each archive opened once."""
    by_archive: dict[Path, dict[str, Row]] = {}
    for row, archive in kept:
        by_archive.setdefault(archive, {})[row.name] = row
    for archive, rows in by_archive.items():
        for name, content in read_clips(archive, list(rows), suffix):
            yield rows[name], content


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(file) as partial:
        partial.write_bytes(content)


def _remove_others(out: Path, wanted: set[Path], pattern: str) -> None:
    for folder in (out / split for split in ("train", "validation", "test")):
        for file in folder.glob(pattern):
            if file not in wanted:
                file.unlink()


STORES = ("videos", "shards")
