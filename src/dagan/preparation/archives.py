"""The archive of one unit: a tar with its clips, landmarks, thumbnails, embeddings and rows, whole or not there.

The same clips give the same bytes: times and owners are 0.
"""

import io
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dagan.errors import UserError, reason_of
from dagan.files import written_whole
from dagan.preparation.cutting import Made
from dagan.preparation.rows import Row, from_lines, to_lines

ROWS, FACES, BOXES = "rows.jsonl", "faces.npz", "boxes.npz"
VIDEO, LANDMARKS, THUMBNAIL = ".mp4", ".npz", ".jpg"
Embeddings = dict[str, Float[np.ndarray, " d"]]
Boxes = dict[str, Float[np.ndarray, "t 4"]]


class Contents(NamedTuple):
    """What an archive says of its clips; `embeddings` by the names of those kept."""

    rows: list[Row]
    embeddings: Embeddings


class ArchiveWriter:
    """Grows clip by clip; `finish` adds the rows."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._rows: list[Row] = []
        self._embeddings: Embeddings = {}
        self._boxes: Boxes = {}

    def add(self, made: Made) -> None:
        """A clip, or the row of one that was dropped."""
        name = made.row.name
        for suffix, content in ((VIDEO, made.video), (LANDMARKS, made.landmarks), (THUMBNAIL, made.thumbnail)):
            if content:
                self._write(f"{name}{suffix}", content)
        self._rows.append(made.row)
        if made.embedding is not None:
            self._embeddings[name] = made.embedding
        if made.boxes is not None:
            self._boxes[name] = made.boxes.astype(np.float32)

    def finish(self) -> None:
        """The rows, by name, and the embeddings."""
        self._write(FACES, _packed(self._embeddings))
        self._write(BOXES, _packed(self._boxes))
        self._write(ROWS, to_lines(sorted(self._rows, key=lambda row: row.name)).encode())

    def _write(self, name: str, content: bytes) -> None:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        self._tar.addfile(info, io.BytesIO(content))


@contextmanager
def writing(path: Path) -> Iterator[ArchiveWriter]:
    """A new archive: it is there when the block has ended well, and its rows are in it."""
    with written_whole(path) as partial, tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as tar:
        writer = ArchiveWriter(tar)
        yield writer
        writer.finish()


def read_contents(path: Path) -> Contents | None:
    """The rows and embeddings; None where the file is not there or not whole."""
    try:
        rows = from_lines(read_member(path, ROWS).decode())
        embeddings = _unpacked(read_member(path, FACES))
    except Exception:  # a damaged tar makes its readers fail in many ways: it is made again
        return None
    return Contents(rows, embeddings)


def read_boxes(path: Path) -> Boxes:
    """The face's box in each frame of every clip, dropped ones too. Raises UserError when the archive is damaged."""
    return _unpacked(read_member(path, BOXES))


def _packed(arrays: dict[str, np.ndarray]) -> bytes:
    content = io.BytesIO()
    np.savez(content, **{name: arrays[name] for name in sorted(arrays)})  # type: ignore[arg-type]
    return content.getvalue()


def _unpacked(content: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {name: np.asarray(arrays[name]) for name in arrays.files}


def read_member(path: Path, name: str) -> bytes:
    """One file of an archive. Raises UserError when it is not there."""
    with tarfile.open(path, "r:") as tar:
        return _member(tar, path, name)


def read_clips(path: Path, names: Sequence[str], suffix: str) -> Iterator[tuple[str, bytes]]:
    """The files of clips, one by one."""
    with tarfile.open(path, "r:") as tar:
        for name in names:
            yield name, _member(tar, path, f"{name}{suffix}")


def _member(tar: tarfile.TarFile, path: Path, name: str) -> bytes:
    try:
        file = tar.extractfile(name)
        if file is None:
            raise KeyError(name)
        return file.read()
    except (KeyError, tarfile.TarError) as error:
        raise UserError(f"{path} is damaged ({reason_of(error)}); delete it and run the same command again") from error


def without(path: Path, is_out: Callable[[Row], bool], changed: Callable[[Row], Row]) -> bool:
    """Writes an archive anew without the files of some rows, which stay as `changed`; False if there were none."""
    contents = read_contents(path)
    if contents is None:
        return False
    out = {row.name for row in contents.rows if is_out(row)}
    if not out:
        return False
    boxes = read_boxes(path)
    with tarfile.open(path, "r:") as old, writing(path) as writer:
        held = {member.name for member in old.getmembers()}
        for row in contents.rows:
            if row.name in out:
                writer.add(Made(changed(row), b""))
                continue
            parts = [
                _member(old, path, name) if (name := f"{row.name}{suffix}") in held else None
                for suffix in (THUMBNAIL, VIDEO, LANDMARKS)
            ]
            writer.add(
                Made(row, parts[0] or b"", parts[1], parts[2], contents.embeddings.get(row.name), boxes.get(row.name))
            )
    return True
