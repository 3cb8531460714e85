"""Tensors to a safetensors file, which appears whole or not at all."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from dagan.errors import UserError, reason_of
from dagan.files import written_whole


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Raises UserError or OSError when the file cannot be written, for example on a full disk."""
    with written_whole(path) as partial:
        try:
            save_file(dict(tensors), partial, metadata=dict(metadata))
        except SafetensorError as error:
            reason = reason_of(error).removeprefix("Error while serializing: ")
            raise UserError(f"cannot write {path}: {reason}; make room, or choose another place") from error
        partial.chmod(0o644)  # safetensors writes for the owner alone
