"""OpenVINO and ONNX Runtime, imported here alone: so that neither reports to its makers, and only if it is installed.

OpenVINO's package reports each import and conversion to an analytics host, and writes a client number into the home
folder; where its telemetry package cannot be imported it uses a stub that does nothing. ONNX Runtime reports its first
session unless an environment variable says no.
"""

import os
import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from dagan.errors import UserError

if TYPE_CHECKING:
    import openvino

TELEMETRY = "openvino_telemetry"
ORT_SWITCH = "ORT_DISABLE_TELEMETRY"


def is_installed(*packages: str) -> bool:
    """Whether all of these packages could be imported; none is."""
    return all(find_spec(package) is not None for package in packages)


def import_openvino() -> Any:
    """The module, without its telemetry."""
    if "openvino" in sys.modules or TELEMETRY in sys.modules:
        return import_module("openvino")
    sys.modules[TELEMETRY] = None  # type: ignore[assignment] # Python's way to say that it cannot be imported
    try:
        return import_module("openvino")
    finally:
        del sys.modules[TELEMETRY]


def import_onnxruntime() -> Any:
    """The module, without its telemetry. Raises UserError where it is not installed."""
    if not is_installed("onnxruntime"):
        raise UserError("ONNX Runtime is not installed: pip install onnxruntime")
    os.environ.setdefault(ORT_SWITCH, "1")
    return import_module("onnxruntime")


@cache
def openvino_core() -> "openvino.Core":
    """The process's one and only.

    A Core gives the thread another stack for signals, and the former one back when it goes. Of two, the one that goes
    first leaves the thread a stack that is gone when the other goes, too: the next signal then writes to whatever
    memory has come there (seen when the worker of a DataLoader ended: crashes, and samples with other pixels).
    """
    core: openvino.Core = import_openvino().Core()
    return core
