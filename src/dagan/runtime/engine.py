"""What runs the networks of an animation: PyTorch, OpenVINO or ONNX Runtime, behind one small protocol."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Literal, Protocol, get_args, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from dagan.errors import UserError
from dagan.models.talking_head import TalkingHead
from dagan.types import Keypoints, View

Runtime = Literal["auto", "torch", "onnx", "openvino"]
Precision = Literal["auto", "fp32", "bf16", "int8"]
RUNTIMES: tuple[Runtime, ...] = get_args(Runtime)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
EXTRA = "fast"  # of the package: what installs OpenVINO


@runtime_checkable
class Engine(Protocol):
    """Networks of one model at one image size. `keypoints` and `picture` may be called by `num_workers` threads."""

    name: str
    precision: str
    num_workers: int

    def set_source(self, source: View) -> None:
        """The encoded portrait of the pictures that follow."""
        ...

    def keypoints(self, frame: Float[Tensor, "1 3 h w"]) -> Keypoints:
        """What the model sees in a driving frame."""
        ...

    def picture(self, driving: Keypoints) -> Float[Tensor, "1 3 h w"]:
        """The portrait moved to keypoints, RGB in [0, 1]."""
        ...


def build_engine(
    model: TalkingHead, source: View, runtime: Runtime = "auto", precision: Precision = "auto", num_threads: int = 0
) -> Engine:
    """The engine that was asked for, with its source set. `num_threads` 0: all cores.

    `auto`: OpenVINO where it is installed and computes in bfloat16 natively, else PyTorch; on a GPU always PyTorch.
    Precision `auto`: bfloat16 where the processor has it, else float32; int8 (OpenVINO) when it is asked for.

    Raises:
        UserError: OpenVINO is not installed, or a precision that the runtime does not have.
    """
    if runtime == "auto":
        runtime = _fastest(source)
    engine = _BUILDERS[runtime](model, source, precision, num_threads)
    engine.set_source(source)
    return engine


def _fastest(source: View) -> Runtime:
    if source.image.is_cuda or find_spec("openvino") is None:
        return "torch"
    from dagan.runtime.torch_engine import has_native_bf16

    return "openvino" if has_native_bf16() else "torch"


def _torch(model: TalkingHead, source: View, precision: Precision, num_threads: int) -> Engine:
    if precision == "int8":
        raise UserError(f"--precision int8 needs OpenVINO: pip install 'dagan[{EXTRA}]' and --runtime openvino")
    from dagan.runtime.torch_engine import TorchEngine

    return TorchEngine(model, source, precision, num_threads)


def _openvino(model: TalkingHead, source: View, precision: Precision, num_threads: int) -> Engine:
    if find_spec("openvino") is None:
        raise UserError(f"--runtime openvino needs OpenVINO: pip install 'dagan[{EXTRA}]', or leave the option out")
    from dagan.runtime.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(model, source, precision, num_threads)


def _onnx(model: TalkingHead, source: View, precision: Precision, num_threads: int) -> Engine:
    if precision in ("bf16", "int8"):
        raise UserError("--runtime onnx computes in fp32 only; use --precision fp32 or another runtime")
    from dagan.runtime.onnx_engine import OnnxEngine

    return OnnxEngine(model, source, num_threads)


_BUILDERS: dict[Runtime, Callable[[TalkingHead, View, Precision, int], Engine]] = {
    "torch": _torch,
    "onnx": _onnx,
    "openvino": _openvino,
}
