"""`--device`, `--runtime` and `--precision`, the same for every command."""

import argparse
from typing import TYPE_CHECKING

from dagan.errors import UserError

if TYPE_CHECKING:
    import torch


def add_device_argument(parser: argparse.ArgumentParser) -> None:
    choices = ["auto", "cpu", "cuda"]
    parser.add_argument("--device", choices=choices, default="auto", help="auto: the GPU if there is one (default)")


def add_runtime_arguments(parser: argparse.ArgumentParser) -> None:
    """What computes pictures, as fast as this machine allows unless asked otherwise."""
    parser.add_argument(
        "--runtime",
        choices=["auto", "torch", "onnx", "openvino"],
        default="auto",
        help="what computes: auto (default) is the fastest that is installed, on a GPU PyTorch; onnx is ONNX Runtime",
    )
    parser.add_argument(
        "--precision",
        choices=["auto", "fp32", "bf16", "int8"],
        default="auto",
        help="auto (default): the fastest that the processor has and that the model file says is near enough to fp32; "
        "fp32: exact; int8: with OpenVINO",
    )


def pick_device(choice: str) -> "torch.device":
    """The device to run on. Raises UserError when a GPU was asked for and PyTorch sees none."""
    import torch

    available = torch.cuda.is_available()
    if choice == "cuda" and not available:
        raise UserError("--device cuda was asked for, but PyTorch sees no GPU; use --device cpu")
    return torch.device("cuda" if available and choice != "cpu" else "cpu")
