"""Where graphs made for an engine are kept, named by all that they depend on; damaged ones are made again."""

import hashlib
import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from dagan.data.weight_files import sha256_of, working_folder
from dagan.files import write_text
from dagan.models.family import Family

GRAPH_VERSION = "8"  # of what `fold` and the graphs make; raise it when they change, and old entries are not used
SUMS = "sums.json"  # {name of a file in the folder: its sha256}
LOCK = ".lock"


def engine_folder(kind: str, version: str, model: Family, side: int) -> Path:
    """The folder for this engine, model and image size, made if it was not there; other weights have another folder.

    It goes with this process where the cache cannot be written.
    """
    digest = hashlib.sha256(f"{GRAPH_VERSION} {kind} {version} {torch.__version__} {side} {model}".encode())
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} ".encode())
        digest.update(np.ascontiguousarray(tensor.cpu().numpy()).data)
    return working_folder(kind, digest.hexdigest()[:24])


@contextmanager
def whole_graphs(folder: Path, make: Callable[[], None]) -> Iterator[None]:
    """While the block runs, `folder` has the files that `make` writes, and no other process changes it.

    Files whose check sums are wrong are made again. What the block adds (compiled graphs) is kept with them.
    """
    with FileLock(folder / LOCK):
        sums = _read_sums(folder)
        if not sums or any(_sum_of(folder / name) != value for name, value in sums.items()):
            if (folder / SUMS).exists():
                warnings.warn(f"the graphs in {folder} are damaged: they are made again", stacklevel=3)
            sums = _made(folder, make)
        for name in _files(folder) - sums.keys():  # of a process that was killed
            (folder / name).unlink(missing_ok=True)
        yield
        if _files(folder) != sums.keys():
            with suppress(OSError):  # a full disk: the next run compiles again
                _write_sums(folder, sums)


def _made(folder: Path, make: Callable[[], None]) -> dict[str, str]:
    _empty(folder)
    try:
        make()
        return _write_sums(folder, {})
    except BaseException:
        _empty(folder)  # a full disk stays no fuller than it was
        raise


def _empty(folder: Path) -> None:
    (folder / SUMS).unlink(missing_ok=True)  # first: without it nothing there is taken for whole
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()


def _files(folder: Path) -> set[str]:
    """All but the sums and the lock."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in paths} - {SUMS, LOCK}


def _read_sums(folder: Path) -> dict[str, str]:
    """Empty where they are not there or damaged."""
    try:
        sums = json.loads((folder / SUMS).read_text())
    except (OSError, ValueError):
        return {}
    return sums if isinstance(sums, dict) else {}


def _sum_of(path: Path) -> str:
    """Empty for a file that cannot be read."""
    try:
        return sha256_of(path)
    except OSError:
        return ""


def _write_sums(folder: Path, known: dict[str, str]) -> dict[str, str]:
    """Of all files in the folder; those that are `known` are not read again."""
    sums = {name: known.get(name) or _sum_of(folder / name) for name in sorted(_files(folder))}
    write_text(folder / SUMS, json.dumps(sums))
    return sums
