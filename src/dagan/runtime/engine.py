"""What computes the networks of an animation: one small protocol, and the names of runtimes and precisions."""

from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from dagan.types import Layers

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
    """Networks of one model at one image size. `keypoints` and `layers` may be called by `num_workers` threads."""

    name: Runtime
    precision: Precision
    num_workers: int

    def set_source(self, source: Any) -> None:
        """The encoded portrait of the pictures that follow."""
        ...

    def keypoints(self, frame: Float[Tensor, "1 3 h w"]) -> Any:
        """The driving code of a frame."""
        ...

    def layers(self, driving: Any) -> Layers:
        """The portrait moved to a driving code, before it is put together (`models/composition.py`)."""
        ...
