"""`--size`, bounded before anything is decoded: frames and networks take memory with its square."""

import argparse

from dagan.errors import UserError

SIZE_STEP = 32  # the networks halve an image up to five times
MAX_SIZE = 2048
MAX_SIDE = 1920  # of a whole photo, unless another is asked for


def check_size(size: int, name: str = "--size") -> None:
    """Raises UserError for a side that the networks cannot have."""
    if not SIZE_STEP <= size <= MAX_SIZE or size % SIZE_STEP:
        raise UserError(f"{name} is {size}; expected a multiple of {SIZE_STEP} up to {MAX_SIZE}, such as 256")


def pixels(text: str) -> int:
    """An argument: any side of a picture from 1 to the largest."""
    number = int(text)
    if not 1 <= number <= MAX_SIZE:
        raise argparse.ArgumentTypeError(f"{number} pixels; expected 1 to {MAX_SIZE}")
    return number
