"""Reading other people's PyTorch files, which are pickles, without letting one run anything."""

import pickletools
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from dagan.data.first_bytes import HEAD, PICKLE, ZIP, failed_download
from dagan.errors import UserError

MAX_PICKLES = 5  # a file of before PyTorch 1.6 has so many before its numbers
EXPECTED = "expected a file written by torch.save"


def read_checkpoint(path: Path) -> dict[Any, Any]:
    """The dictionary in a PyTorch file: tensors, numbers and strings; never an object that runs code.

    Raises:
        UserError: no such file, a file of another kind, a damaged one, or one that wants to run code.
    """
    if (other := other_kind(path)) is not None:
        raise UserError(f"{path} {other}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old pickles; what counts is raised
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # a damaged pickle can fail in any way
        raise UserError(_explained(path, str(error))) from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}; expected a dictionary of weights")
    return content


def other_kind(path: Path) -> str | None:
    """What a file is and what to do, when its first bytes say that it is no PyTorch file; None when it may be one."""
    if not path.is_file():
        return "is not there (no such file)" if not path.exists() else f"is not a file; {EXPECTED}"
    with path.open("rb") as file:
        head = file.read(HEAD)
    if (mistake := failed_download(head)) is not None:
        return mistake
    if head[8:10] == b'{"':
        return "is a safetensors file; published checkpoints come as .pth.tar or .pth, and dagan loads its own as is"
    if head.startswith(ZIP):
        return None if zipfile.is_zipfile(path) else "is truncated (its end is missing); download it again"
    return None if head.startswith(PICKLE) or _code_in(path) else f"is not a PyTorch checkpoint; {EXPECTED}"


def _explained(path: Path, reason: str) -> str:
    """One line about why PyTorch refused a file."""
    named = re.search(r"GLOBAL ([\w.]+)", reason)
    code = named[1].rstrip(".") if named else _code_in(path)
    if code:
        return f"{path} would run code when opened (it asks for {code}): refused, and nothing was run; do not trust it"
    return f"{path} is truncated or damaged; download it again"


def _code_in(path: Path) -> str | None:
    """What a bare pickle would call first, found without running it: `module.name`; None when there is nothing."""
    with path.open("rb") as file:
        strings = ["", ""]
        try:
            for _ in range(MAX_PICKLES):
                for opcode, argument, _position in pickletools.genops(file):
                    if opcode.name in {"GLOBAL", "INST"} and not str(argument).startswith(("torch", "collections")):
                        return str(argument).replace(" ", ".")
                    if opcode.name == "STACK_GLOBAL":
                        return ".".join(strings[-2:])
                    if isinstance(argument, str):
                        strings.append(argument)
        except ValueError:  # the end, or no pickle at all
            return None
    return None
