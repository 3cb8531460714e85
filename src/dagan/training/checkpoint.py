"""Run checkpoints: everything that a run needs to go on exactly, written whole or not at all."""

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from dagan.errors import UserError

CHECKPOINT = "checkpoint.pt"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors, numbers, strings and containers of them) to the run folder, atomically."""
    temporary = folder / f".{CHECKPOINT}.partial"
    torch.save(state, temporary)
    os.replace(temporary, folder / CHECKPOINT)


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The run folder's state, or None when the run is new. Never executes code from the file.

    Raises:
        UserError: the checkpoint is damaged or holds anything but plain data.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        reason = str(error).split("\n")[0]
        raise UserError(f"cannot resume from {path}: {reason}; delete the file to start the run anew") from error
    return state
