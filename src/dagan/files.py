"""Files to write: they appear whole or not at all, and none replaces an input."""

import errno
import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dagan.errors import UserError

MAX_NAME = 255  # bytes of a file's name, on every file system in use
UNIQUE = 8  # hexadecimal digits
ENDING = ".partial"
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to: it takes the name when the block ends well, and is removed otherwise.

    The file is there already, empty, and locked to say that its process is alive. What processes left that were killed
    while they wrote `path` is removed.

    Raises:
        UserError: the disk is full, or `path` is a folder.
    """
    _refuse_folder(path)
    with room_for(path), temporary_beside(path) as partial:
        yield partial
        _sync(partial)
        os.replace(partial, path)


@contextmanager
def room_for(path: Path) -> Iterator[None]:
    """Raises UserError, which names the place, if the disk is full while it is written to."""
    try:
        yield
    except OSError as error:
        is_cut = error.errno is None and "requested and" in str(error)  # what NumPy says when not all is written
        if error.errno in DISK_FULL or is_cut:
            raise UserError(f"no space left to write {path}; make room, or choose another place") from error
        raise


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """As `written_whole`, of a file that is removed in any case."""
    remove_leftovers(path)
    partial = path.with_name(f"{_hidden_start(path)}{secrets.token_hex(UNIQUE // 2)}{ENDING}")
    lock = _locked(partial)
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)
        if lock is not None:
            os.close(lock)


def _sync(path: Path) -> None:
    """Waits until the content is on the disk: a power cut must not leave a name without it."""
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):  # a file system that cannot
            raise
    finally:
        os.close(handle)


def remove_leftovers(path: Path) -> None:
    """Removes the hidden files of processes that were killed while they wrote `path`; those still alive keep theirs."""
    names = re.compile(re.escape(_hidden_start(path)) + f"[0-9a-f]{{{UNIQUE}}}" + re.escape(ENDING))
    with suppress(OSError):
        for name in filter(names.fullmatch, os.listdir(path.parent)):
            with suppress(OSError):
                _remove_dead(path.with_name(name))


def _hidden_start(path: Path) -> str:
    """How the hidden names begin that are written for `path`: with its name, shortened where that is long."""
    room = MAX_NAME - UNIQUE - len(f"..{ENDING}")
    name = os.fsencode(path.name)
    if len(name) <= room:
        return f".{path.name}."
    mark = f"~{hashlib.sha256(name).hexdigest()[:UNIQUE]}"
    return f".{name[: room - len(mark)].decode('utf-8', 'ignore')}{mark}."


def _locked(path: Path) -> int | None:
    """A new file, locked as long as the handle is open and this process lives; None where files cannot be locked."""
    try:
        import fcntl
    except ImportError:  # Windows: what is open there cannot be removed, which says as much
        return None
    while True:
        handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        except FileNotFoundError:
            pass  # another process took it for a leftover before it was locked
        except OSError:  # a file system without locks
            os.close(handle)
            return None
        os.close(handle)


def _remove_dead(path: Path) -> None:
    """Removes a file that no living process has locked. Raises OSError otherwise, and where there are no locks."""
    try:
        import fcntl
    except ImportError:
        path.unlink(missing_ok=True)
        return
    handle = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """A text file in one step: a reader sees the old one or the new one."""
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def check_given(path: Path, kind: str) -> None:
    """Raises UserError if an input that should be a `kind`, such as video, is missing or a folder."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; give a {kind}")
    if not path.is_file():
        raise UserError(f"no such {kind}: {path}")


def check_place(path: Path, option: str = "-o") -> None:
    """Refuses early what could not be written late; `option` is what gave the name.

    Raises:
        UserError: a missing folder or one that cannot be written, a folder in the place of the file, or a long name.
    """
    if len(os.fsencode(path.name)) > MAX_NAME:
        raise UserError(f"the name for {option} has over {MAX_NAME} bytes: {path.name[:40]}...; choose a shorter one")
    if not path.parent.is_dir():
        raise UserError(f"no such folder: {path.parent}; make it first, or choose another {option}")
    _refuse_folder(path)
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"the folder {path.parent} cannot be written; choose another {option}")


def check_folder(path: Path) -> None:
    """Raises UserError if a folder to write to is a file."""
    if path.exists() and not path.is_dir():
        raise UserError(f"the output is a file: {path}; give a folder")


def _refuse_folder(path: Path) -> None:
    if path.is_dir():
        raise UserError(f"the output is a folder: {path}; give the name of a file")


def check_outputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """`check_output` of several outputs, of which no two may be one file.

    Raises:
        UserError: one is an input, or the same as another.
    """
    given, places = list(inputs), set[Path]()
    for path in outputs:
        check_output(path, given)
        place = path.resolve()
        if place in places:
            raise UserError(f"two outputs would be one file: {path}; choose another name for one of them")
        places.add(place)


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
