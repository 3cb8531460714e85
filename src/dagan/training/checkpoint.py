"""Run checkpoints: everything that a run needs to go on exactly, written whole or not at all."""

import os
from pathlib import Path
from typing import Any

import torch

from dagan.errors import UserError

CHECKPOINT = "checkpoint.pt"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors, numbers, strings and containers of them) to the run folder, atomically."""
    temporary = folder / f".{CHECKPOINT}.partial"
    try:
        torch.save(state, temporary)
        os.replace(temporary, folder / CHECKPOINT)
    finally:
        temporary.unlink(missing_ok=True)


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The run folder's state, or None when the run is new. Never executes code from the file.

    Raises:
        UserError: the checkpoint is damaged or holds anything but plain data.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes the reader fail in many ways: KeyError, UnicodeDecodeError, ...
        reason = str(error).split("\n")[0]
        raise UserError(f"cannot resume from {path}: {reason}; delete the file to start the run anew") from error
    if not isinstance(state, dict):
        raise UserError(f"cannot resume from {path}: it is no checkpoint; delete the file to start the run anew")
    return state
