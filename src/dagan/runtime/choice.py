"""Which engine computes an animation: the fastest that is installed and agrees well enough with PyTorch in float32."""

import warnings
from collections.abc import Callable
from typing import Any

import torch

from dagan.errors import UserError, reason_of
from dagan.models.family import Family
from dagan.runtime.engine import Choice, Engine, Precision, Runtime
from dagan.runtime.onnx_engine import OnnxEngine
from dagan.runtime.openvino_engine import OpenVinoEngine
from dagan.runtime.packages import is_installed
from dagan.runtime.processor import has_native
from dagan.runtime.torch_engine import TorchEngine

LEAST_AGREEMENT = 40.0  # dB, median PSNR to PyTorch's float32: differences of 1 % of white, which nobody sees
# By the milliseconds of a frame of the bundled weights on a CPU that has them all (docs/performance.md).
FASTEST_FIRST = (
    Choice("openvino", "int8"),
    Choice("openvino", "bf16"),
    Choice("openvino", "fp32"),
    Choice("onnx", "fp32"),
    Choice("torch", "bf16"),
    Choice("torch", "fp32"),
)
NEEDS: dict[Runtime, tuple[str, ...]] = {
    "openvino": ("openvino",),
    "onnx": ("onnxruntime", "onnx", "onnxscript"),
    "torch": (),
}
EXTRAS: dict[Runtime, str] = {"openvino": "fast", "onnx": "export"}  # of the package: what installs those
ENGINES: dict[Runtime, Callable[[Family, Any, Precision, int], Engine]] = {
    "torch": TorchEngine,
    "onnx": OnnxEngine,
    "openvino": OpenVinoEngine,
}


def build_engine(
    model: Family, source: Any, runtime: Runtime = "auto", precision: Precision = "auto", num_threads: int = 0
) -> Engine:
    """The engine that `choose` chooses, with its source set. `num_threads` 0: all cores.

    Where nobody asked for it by name, an engine that fails to start is replaced by PyTorch, with a warning.

    Raises:
        UserError: the runtime is not installed, does not have that precision, does not run on the model's device or
            fails to start.
    """
    device = source.image.device
    choice = choose(model, device, runtime, precision)
    try:
        return _started(choice, model, source, num_threads)
    except Exception as error:  # other processors, full disks, drivers: no list of what engines raise is complete
        if choice.runtime == "torch":
            raise
        reason = f"{choice} cannot compute this model here ({reason_of(error)})"
        if runtime != "auto" or precision == "int8":
            raise UserError(f"{reason}; use --runtime torch") from error
    choice = choose(model, device, "torch", precision)
    warnings.warn(f"{reason}: {choice} is used, which is slower", stacklevel=2)
    return _started(choice, model, source, num_threads)


def _started(choice: Choice, model: Family, source: Any, num_threads: int) -> Engine:
    engine = ENGINES[choice.runtime](model, source, choice.precision, num_threads)
    engine.set_source(source)
    return engine


def choose(model: Family, device: torch.device, runtime: Runtime = "auto", precision: Precision = "auto") -> Choice:
    """What `auto` stands for: the fastest that is installed, in a precision in which the model was measured to agree
    with PyTorch's float32 (`Family.agreement`); on a GPU PyTorch. What is asked for by name is taken as it is.

    Raises:
        UserError: as `build_engine`.
    """
    _check(device, runtime, precision)
    for choice in FASTEST_FIRST:
        asked = runtime in ("auto", choice.runtime) and precision in ("auto", choice.precision)
        if asked and (precision != "auto" or _agrees(model, choice)) and _is_fast(choice, device):
            return choice
    able: Runtime = "openvino" if precision == "int8" else "torch"
    return Choice(able if runtime == "auto" else runtime, "fp32" if precision == "auto" else precision)


def installed_choices(device: torch.device) -> list[Choice]:
    """All that this machine computes at full speed, the fastest first."""
    return [choice for choice in FASTEST_FIRST if _is_fast(choice, device)]


def _agrees(model: Family, choice: Choice) -> bool:
    """OpenVINO's bfloat16 never counts as measured: it rounds coordinates, too (33 dB at the paper's widths, where
    PyTorch's, of convolutions alone, has 47)."""
    measured = model.agreement.get(choice.precision)
    near = measured is not None and measured.median >= LEAST_AGREEMENT
    return choice.precision == "fp32" or (near and choice != Choice("openvino", "bf16"))


def _is_fast(choice: Choice, device: torch.device) -> bool:
    """Whether this machine has the runtime, and the precision in hardware."""
    if device.type != "cpu":
        return choice.runtime == "torch"
    return is_installed(*NEEDS[choice.runtime]) and has_native(choice.precision)


def _check(device: torch.device, runtime: Runtime, precision: Precision) -> None:
    if runtime == "onnx" and precision in ("bf16", "int8"):
        raise UserError("--runtime onnx computes in fp32 only; use --precision fp32 or another runtime")
    if runtime == "torch" and precision == "int8":
        raise UserError("--precision int8 needs OpenVINO; use --runtime openvino or leave --runtime out")
    wanted: Runtime = "openvino" if precision == "int8" else runtime
    if wanted in EXTRAS and device.type != "cpu":
        raise UserError(f"--runtime {wanted} runs on the CPU; use --device cpu or --runtime torch in fp32 or bf16")
    if wanted in EXTRAS and not is_installed(*NEEDS[wanted]):
        asked = "--precision int8" if runtime == "auto" else f"--runtime {runtime}"
        raise UserError(f"{asked} needs packages: pip install 'dagan[{EXTRAS[wanted]}]', or leave the option out")
