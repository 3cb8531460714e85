"""Reading other people's PyTorch files, which are pickles, without letting one run anything."""

import pickletools
import re
import warnings
from pathlib import Path
from typing import Any

import torch

from dagan.data.file_checks import HEAD, PICKLE, ZIP, check_unpacked, failed_download, is_zip
from dagan.errors import UserError

MAX_PICKLES = 5  # a file of before PyTorch 1.6 has so many before its numbers
EXPECTED = "expected a file written by torch.save"


class Unread:
    """Stands for a NumPy value (a loss, an epoch, an array) in a checkpoint: nothing of NumPy is called to make it."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


NUMPY = tuple(  # what pickles of NumPy values call, by the names of NumPy 1 and 2
    (Unread, name)
    for name in (
        *(f"numpy.{core}.multiarray.{part}" for core in ("core", "_core") for part in ("scalar", "_reconstruct")),
        "numpy.dtype",
        "numpy.ndarray",
    )
)
CALLS = {"GLOBAL", "INST", "STACK_GLOBAL"}  # codes of a pickle that name what it calls
HARMLESS = ("torch", "collections", "_codecs.encode", *(name for _, name in NUMPY))


def read_checkpoint(path: Path) -> dict[Any, Any]:
    """The dictionary in a PyTorch file: tensors, numbers and strings; never an object that runs code.

    NumPy values, which training scripts keep beside the weights, come out as `Unread`.

    Raises:
        UserError: no such file, a file of another kind, a damaged one, or one that wants to run code.
    """
    if (other := other_kind(path)) is not None:
        raise UserError(f"{path} {other}")
    zipped = is_zip(path)
    try:
        if zipped:
            check_unpacked(path, path.stat().st_size)  # torch.save does not compress
        with warnings.catch_warnings(), torch.serialization.safe_globals(list(NUMPY)):
            warnings.simplefilter("ignore")  # about old pickles; what counts is raised
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except UserError:
        raise
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
        return None if is_zip(path) else "is truncated (its end is missing); download it again"
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
                    called = (
                        ".".join(strings[-2:]) if opcode.name == "STACK_GLOBAL" else str(argument).replace(" ", ".")
                    )
                    if opcode.name in CALLS and not called.startswith(HARMLESS):
                        return called
                    if isinstance(argument, str):
                        strings.append(argument)
        except ValueError:  # the end, or no pickle at all
            return None
    return None
