"""`--device`, the same for every command."""

import argparse
from typing import TYPE_CHECKING

from dagan.errors import UserError

if TYPE_CHECKING:
    import torch


def add_device_argument(parser: argparse.ArgumentParser) -> None:
    choices = ["auto", "cpu", "cuda"]
    parser.add_argument("--device", choices=choices, default="auto", help="auto: the GPU if there is one (default)")


def pick_device(choice: str) -> "torch.device":
    """The device to run on. Raises UserError when a GPU was asked for and PyTorch sees none."""
    import torch

    available = torch.cuda.is_available()
    if choice == "cuda" and not available:
        raise UserError("--device cuda was asked for, but PyTorch sees no GPU; use --device cpu")
    return torch.device("cuda" if available and choice != "cpu" else "cpu")
