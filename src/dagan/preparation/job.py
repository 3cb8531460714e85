"""`dagan prepare`: every unit done, wherever that is; then the clips of all of them put together."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from dagan.data.weight_files import SFACE, find_weights
from dagan.errors import UserError
from dagan.files import write_text
from dagan.preparation.settings import Settings
from dagan.preparation.units import Unit
from dagan.preparation.work import Done, Preparing, archive_path
from dagan.workers import Workers

SETTINGS_FILE, LOCK_FILE, ARCHIVES = "prepare.json", ".prepare.lock", "units"


class Prepared(NamedTuple):
    """How many units there are, how many were there before, and clips kept and dropped in them."""

    units: int
    were_there: int
    kept: int
    dropped: int


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Makes the folder, and keeps other runs out of it. Raises UserError when one is in it."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / LOCK_FILE, timeout=0):
            yield
    except Timeout as error:
        raise UserError(f"another `dagan prepare` is at work in {out}; wait for it, or choose another -o") from error


def check_settings(out: Path, settings: Settings) -> None:
    """Writes down the settings. Raises UserError when the folder holds clips that were made with others."""
    file, plain = out / SETTINGS_FILE, asdict(settings)
    if file.exists():
        try:
            before = json.loads(file.read_text())
            changed = [f"{name} was {before.get(name)}" for name, value in plain.items() if before.get(name) != value]
        except (ValueError, AttributeError) as error:
            raise UserError(f"{file} is damaged; choose another -o") from error
        if changed:
            raise UserError(f"{out} was prepared with other settings ({'; '.join(changed)}); choose another -o")
        return
    if any(out.glob("*/*.tar")):
        raise UserError(f"{out} holds tar files that `dagan prepare` did not write; choose another -o")
    write_text(file, json.dumps(plain, indent=1) + "\n")


def do_units(
    units: Sequence[Unit],
    out: Path,
    settings: Settings,
    workers: Workers,
    identity_weights: Path | None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Prepared:
    """The archive of every unit in `out`/units; those that are there already are left as they are.

    Raises:
        UserError: the disk is full, or workers cannot run.
    """
    folder = out / ARCHIVES
    folder.mkdir(exist_ok=True)
    done: list[Done] = []
    for result in workers.run(Preparing(folder, settings, identity_weights), units):
        done.append(result)
        progress(len(done), len(units))
    return Prepared(
        len(done),
        sum(unit.was_there for unit in done),
        sum(unit.kept for unit in done),
        sum(unit.dropped for unit in done),
    )


def identity_file(settings: Settings, given: str | None) -> Path | None:
    """SFace's weights, if people are told apart by faces. Raises UserError when they are not there."""
    if settings.people != "faces":
        return None
    try:
        return find_weights(SFACE, given)
    except UserError as error:
        raise UserError(f"{error}; or take each raw file as one person: --people files") from error


def archives(out: Path, units: Sequence[Unit]) -> list[Path]:
    """The archives of these units, by key, and of units that earlier runs did."""
    folder = out / ARCHIVES
    return sorted({*folder.glob("*.tar"), *(archive_path(folder, unit) for unit in units)})
