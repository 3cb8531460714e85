"""Networks built from a configuration that a file states: none larger than what the file holds."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from dagan.errors import UserError

MOST = 8192  # of any whole number in a configuration of a model: eight times the widest network that we know
MOST_PARTS = 512  # of a count (`num_...`): of blocks, of keypoints
LONGEST = 64  # of any list in one
DEEPEST = 32  # levels of nesting
SPARE = 1 << 24  # numbers that a network may need beside its weights: kernels, grids
FACTORIES = {torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.full}  # called with a size

Network = TypeVar("Network", bound=nn.Module, covariant=True)


class Buildable(Protocol[Network]):
    """A configuration of a network."""

    def build(self) -> Network: ...


def check_sizes(plain: Any, path: Path, name: str = "config", levels: int = 0) -> None:
    """Refuses a configuration (plain data) with a number or a list that is larger than any network has.

    Raises:
        UserError: it names the field.
    """
    if levels > DEEPEST:
        raise UserError(f"{path}: its configuration is nested over {DEEPEST} levels deep; give a file written by dagan")
    if isinstance(plain, dict):
        parts: Iterable[tuple[str, Any]] = ((f"{name}.{key}", value) for key, value in plain.items())
    elif isinstance(plain, list):
        if len(plain) > LONGEST:
            raise UserError(f"{path}: {name} has {len(plain)} values; expected at most {LONGEST}")
        parts = ((f"{name}[{index}]", value) for index, value in enumerate(plain))
    else:
        parts = ()
        most = MOST_PARTS if name.rpartition(".")[2].startswith("num_") else MOST
        if isinstance(plain, int) and not 0 <= plain <= most:
            raise UserError(f"{path}: {name} is {_shown(plain)}; expected a whole number from 0 to {most}")
        if isinstance(plain, float) and not math.isfinite(plain):
            raise UserError(f"{path}: {name} is {plain}; expected a finite number")
    for inner, value in parts:
        check_sizes(value, path, inner, levels + 1)


def _shown(number: int) -> str:
    return str(number) if abs(number) < 10**12 else "larger than 10^12"


def build_bounded(config: Buildable[Network], path: Path) -> Network:
    """The network of a configuration that was read from a file of weights.

    Raises:
        UserError: the network would be larger than the file's weights, or cannot be built.
    """
    try:
        with _Budget(path.stat().st_size + SPARE):  # a number takes a byte or more
            return config.build()
    except _TooLargeError as error:
        raise UserError(f"the configuration in {path} describes a larger network than its weights make") from error
    except (ArithmeticError, IndexError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"the configuration in {path} describes no network that can be built: {reason}") from error


class _TooLargeError(Exception):
    pass


class _Budget(TorchFunctionMode):
    """Ends a construction, before the memory is taken, once its `torch.empty` asked for more numbers than are left."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.left = numbers

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in FACTORIES:
            size = (kwargs or {}).get("size", args if args and isinstance(args[0], int) else next(iter(args), ()))
            self.left -= math.prod(size)
            if self.left < 0:
                raise _TooLargeError
        return func(*args, **(kwargs or {}))
