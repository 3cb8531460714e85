"""A run folder explains itself: what was run, when, by which code, on which data."""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from dagan import __version__
from dagan.errors import UserError
from dagan.files import write_text
from dagan.training.distributed import World

RUN_FILE = "run.json"
LOCK = ".lock"
PATIENCE = 8.0  # seconds: the workers of a run that was killed hold its lock until they notice (5 s in PyTorch)
HELD: dict[Path, FileLock] = {}  # by the folders of this process; the system releases them with the process
PACKAGES = ("torch", "numpy", "accelerate", "safetensors", "av", "tensorboard")


def prepare_folder(folder: Path) -> None:
    """Make the run folder, and hold it until this process ends: two runs in one folder would mix their files.

    Raises:
        UserError: it cannot be written, or another process holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"cannot write the run folder {folder}: {error.strerror}; give another with -o") from error
    _hold(folder.resolve())


def _hold(folder: Path) -> None:
    if folder in HELD:
        return
    lock = FileLock(folder / LOCK, is_singleton=False)
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout as error:
        raise UserError(f"another process trains in {folder}; wait for it, or give another folder with -o") from error
    except (OSError, NotImplementedError):  # a file system without locks
        return
    HELD[folder] = lock


def write_json(path: Path, value: Any) -> None:
    """Atomically."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def fingerprint(clips: Iterable[Path]) -> dict[str, Any]:
    """What data a run has: the number of clips, their bytes, and a hash of their names and sizes.

    Of a folder of frames only the number of frames counts: VoxCeleb has tens of millions.
    """
    sizes = {(path.parent.name + "/" + path.name, _size(path)) for path in clips}
    text = "\n".join(f"{name}\t{size}" for name, size in sorted(sizes))
    total = sum(size for _, size in sizes)
    return {"clips": len(sizes), "size": total, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def _size(path: Path) -> int:
    if path.is_dir():
        with os.scandir(path) as entries:
            return sum(1 for _ in entries)
    return path.stat().st_size if path.exists() else 0


def describe_start(world: World, step: int) -> dict[str, Any]:
    """One start of a run: the first, or a resume."""
    return {
        "step": step,
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": sys.argv,
        "host": platform.node(),
        "processes": world.size,
        "device": torch.cuda.get_device_name(world.device) if world.device.type == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
        **code_version(),
    }


def code_version() -> dict[str, Any]:
    """The versions of dagan and of what it stands on, and the git commit when it runs from a repository."""
    packages = {name: installed for name in PACKAGES if (installed := _installed(name)) is not None}
    return {"dagan": __version__, "commit": git_commit(), "python": platform.python_version(), "packages": packages}


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def git_commit(folder: Path = Path(__file__).parent) -> str | None:
    """The commit that is checked out where `folder` lies, with `-dirty` when files differ; None outside of git.

    An installed package may lie inside of somebody's repository, whose commit says nothing about it.
    """
    git = shutil.which("git")
    if git is None or "site-packages" in folder.parts:
        return None
    words = [git, "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.strip() or None


def _read_run(path: Path) -> dict[str, Any]:
    """What run.json says; nothing where it is not there or damaged, as after a power cut."""
    if not path.exists():
        return {}
    try:
        run = json.loads(path.read_bytes())
        run["starts"] = [dict(start) for start in run["starts"]]
        _ = run["data"], [(start["dagan"], start["commit"]) for start in run["starts"]]
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        warnings.warn(f"{path} is damaged: it begins anew with this start", stacklevel=3)
        return {}
    return dict(run)


def record_start(folder: Path, start: dict[str, Any], data: dict[str, Any] | None) -> None:
    """Adds a start to run.json; warns when the data or the code are not those of the start before."""
    path = folder / RUN_FILE
    run = _read_run(path) or {"data": data, "starts": []}
    if run["starts"]:
        if run["data"] != data:
            warnings.warn(f"the clips are not those that the run in {folder} began with (see {path})", stacklevel=2)
        before = run["starts"][-1]["dagan"], run["starts"][-1]["commit"]
        if before != (now := (start["dagan"], start["commit"])):
            warnings.warn(f"the run goes on with other code: {now} after {before}", stacklevel=2)
    write_json(path, {**run, "starts": [*run["starts"], start]})
