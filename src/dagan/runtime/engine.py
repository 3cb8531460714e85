"""What computes the networks of an animation: one small protocol, and the names of runtimes and precisions."""

from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

Runtime = Literal["auto", "torch", "onnx", "openvino"]
Precision = Literal["auto", "fp32", "bf16", "int8"]
TITLES = {"torch": "PyTorch", "onnx": "ONNX Runtime", "openvino": "OpenVINO"}  # of the runtimes, for people


class Choice(NamedTuple):
    """A runtime and the precision that it computes in; neither is `auto`."""

    runtime: Runtime
    precision: Precision

    def __str__(self) -> str:
        return f"{TITLES[self.runtime]} {self.precision}"


@runtime_checkable
class Engine(Protocol):
    """Networks of one model at one image size. `keypoints` and `picture` may be called by `num_workers` threads."""

    name: Runtime
    precision: Precision
    num_workers: int

    def set_source(self, source: Any) -> None:
        """The encoded portrait of the pictures that follow."""
        ...

    def keypoints(self, frame: Float[Tensor, "1 3 h w"]) -> Any:
        """The driving code of a frame."""
        ...

    def picture(self, driving: Any) -> Float[Tensor, "1 3 h w"]:
        """The portrait moved to a driving code, RGB in [0, 1]."""
        ...
