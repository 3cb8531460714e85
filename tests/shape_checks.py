"""The run-time check of jaxtyping's shapes in tests (see conftest.py)."""

from collections.abc import Callable
from typing import Any

from beartype import beartype
from beartype.roar import BeartypeDecorHintException


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its arguments and result checked, or as it is where beartype cannot check a hint.

    It cannot check `Self` outside of its own class decorator, nor protocols that are not runtime_checkable.
    """
    try:
        return beartype(function)
    except BeartypeDecorHintException:
        return function
