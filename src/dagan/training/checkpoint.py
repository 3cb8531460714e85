"""Run checkpoints: everything that a run needs to go on exactly, written whole or not at all, the last few kept."""

import random
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dagan.errors import UserError
from dagan.files import written_whole

FOLDER = "checkpoints"
SUFFIX = ".pt"
NAME = re.compile(r"step_([0-9]{8,18})\.pt")
OLD_CHECKPOINT = "checkpoint.pt"  # one file, of runs before several were kept


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where the state after so many steps lies."""
    return folder / FOLDER / f"step_{step:08d}{SUFFIX}"


def checkpoints_in(folder: Path) -> list[Path]:
    """The checkpoints of a run folder, newest first; other files are none of ours."""
    found = ((NAME.fullmatch(path.name), path) for path in (folder / FOLDER).glob(f"step_*{SUFFIX}"))
    return [path for _, path in sorted(((int(name[1]), path) for name, path in found if name), reverse=True)]


def save_checkpoint(
    folder: Path, step: int, state: dict[str, Any], keep: int = 3, best_step: int | None = None
) -> None:
    """Write `state` (tensors, numbers, strings and containers of them), atomically; then drop all checkpoints but the
    newest `keep` and that of `best_step`, and those of later steps, which were damaged.

    Raises:
        UserError: it cannot be written (a full disk); the checkpoints before stay.
    """
    path = checkpoint_path(folder, step)
    path.parent.mkdir(exist_ok=True)
    with written_whole(path) as partial:
        try:
            torch.save(state, partial)
        except (OSError, RuntimeError) as error:  # PyTorch's writer does not say why it failed
            raise UserError(f"cannot write the checkpoint {path} (is the disk full?); make room and go on") from error
    kept = [
        *[one for one in checkpoints_in(folder) if one.name <= path.name][: max(keep, 1)],
        *([] if best_step is None else [checkpoint_path(folder, best_step)]),
    ]
    for old in set(checkpoints_in(folder)) - set(kept):
        old.unlink(missing_ok=True)


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The newest state in the run folder that can be read, or None when the run is new. Never executes code.

    A damaged one is passed over with a warning.

    Raises:
        UserError: there are checkpoints, and all are damaged; or only one of an older version of dagan.
    """
    paths = checkpoints_in(folder)
    for path in paths:
        try:
            return read_checkpoint(path)
        except UserError as error:
            last = error
            warnings.warn(f"{error}; trying the one before", stacklevel=2)
    if paths:
        raise UserError(
            f"no checkpoint in {folder / FOLDER} can be read; delete the folder to start the run anew"
        ) from last
    if (folder / OLD_CHECKPOINT).exists():
        raise UserError(
            f"{folder / OLD_CHECKPOINT} was written by an older version, which can finish the run; here, "
            f"start another with --from {folder / 'model.safetensors'} and another -o"
        )
    return None


def read_checkpoint(path: Path) -> dict[str, Any]:
    """One checkpoint file. Raises UserError when it is damaged or holds anything but plain data."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # PyTorch does not compare the check sums when it reads
        if damaged is not None:
            raise ValueError(f"wrong check sum of {damaged}")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes the readers fail in many ways: KeyError, UnicodeDecodeError, ...
        reason = " ".join(str(error).split("\n")[0].split())
        raise UserError(f"checkpoint {path} is damaged ({reason or type(error).__name__})") from error
    if not isinstance(state, dict):
        raise UserError(f"checkpoint {path} is damaged (it holds no run)")
    return state


def seed_everything(seed: int) -> None:
    """Python, NumPy and PyTorch on every device."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def random_state() -> dict[str, Any]:
    """The state of every random generator, as plain data."""
    version, internal, gauss = random.getstate()
    kind, keys, *rest = np.random.get_state(legacy=True)
    return {
        "python": [version, list(internal), gauss],
        "numpy": [kind, np.asarray(keys).tolist(), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Undoes whatever was drawn since `random_state`."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, np.asarray(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
