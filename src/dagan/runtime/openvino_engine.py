"""OpenVINO as an engine: its graphs compiled for the processor, in bfloat16 where it has that, in whole numbers where
that is asked for, one stream per core. With bfloat16 a face reader is a graph of its own, in float32: it would be off
by a third of a pixel.

A stream computes one frame on one core, so that cores never wait for each other; frames are independent. Compiled
graphs are kept in the cache folder (`graph_cache`).
"""

import threading
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from dagan.models.family import Family
from dagan.models.talking_head import TalkingHead
from dagan.runtime.engine import Precision, Runtime
from dagan.runtime.fold import fold
from dagan.runtime.graph_cache import engine_folder, whole_graphs
from dagan.runtime.graphs import (
    KeypointGraph,
    LayersGraph,
    flat_appearance,
    flat_points,
    signature_of,
)
from dagan.runtime.packages import import_openvino, openvino_core
from dagan.runtime.processor import has_native
from dagan.runtime.quantize import quantize
from dagan.runtime.samples import show_samples
from dagan.types import Layers

if TYPE_CHECKING:
    import openvino

MAX_STREAMS = 8
KEYPOINTS, LAYERS, READER = "keypoints.xml", "layers.xml", "reader.xml"


class OpenVinoEngine:
    """The compiled graphs of a model. The first use of a model traces and compiles it, which takes some seconds."""

    name: Runtime = "openvino"

    def __init__(self, model: Family, source: Any, precision: Precision, num_threads: int) -> None:
        core = openvino_core()
        self.precision = precision
        if precision == "int8" and not has_native("int8"):
            warnings.warn("this processor has no VNNI: pictures in int8 are coarser than elsewhere", stacklevel=2)
        num_cores = num_threads or torch.get_num_threads()
        self.num_workers = min(num_cores, MAX_STREAMS)
        settings: dict[str, str | int | bool] = {
            "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bf16" else "f32",
            "NUM_STREAMS": self.num_workers,
            "INFERENCE_NUM_THREADS": num_cores,
            "ENABLE_CPU_PINNING": False,  # the encoder and the decoder want the cores, too
        }
        self._signature = signature_of(source)
        version = f"{import_openvino().__version__} {precision}"
        folder = engine_folder("openvino", version, model, source.image.shape[-1])
        settings["CACHE_DIR"] = str(folder / "compiled")  # halves the time to load
        precisely = {**settings, "INFERENCE_PRECISION_HINT": "f32"}
        with whole_graphs(folder, partial(self._convert, model, source, folder)):
            self._see = core.compile_model(folder / KEYPOINTS, "CPU", settings)
            self._draw = core.compile_model(folder / LAYERS, "CPU", settings)
            self._read = core.compile_model(folder / READER, "CPU", precisely) if self._reads_apart(model) else None
        self._mine = threading.local()
        self._source: tuple[np.ndarray, ...] = ()

    def set_source(self, source: Any) -> None:
        kept = (source.image, *flat_points(source.code), *flat_appearance(source))
        self._source = tuple(np.ascontiguousarray(tensor.float().numpy()) for tensor in kept)
        self._mine = threading.local()

    def keypoints(self, frame: Float[Tensor, "1 3 h w"]) -> Any:
        see, _, read = self._requests()
        see.infer([frame.numpy()])
        found = [_taken(see, index) for index in range(len(self._see.outputs))]
        if read is not None:
            read.infer([frame.numpy(), found[0].numpy()])
            found += [_taken(read, index) for index in range(2)]
        return self._signature.gathered(self._signature.code, found)

    def layers(self, driving: Any) -> Layers:
        request = self._requests()[1]
        request.infer({index: part.numpy() for index, part in enumerate(flat_points(driving))})
        return Layers(*(_taken(request, index) for index in range(len(Layers._fields))))

    def _requests(self) -> "tuple[openvino.InferRequest, openvino.InferRequest, openvino.InferRequest | None]":
        """This thread's own; the source's tensors are shared by all, and set once."""
        if not hasattr(self._mine, "requests"):
            openvino = import_openvino()
            see, draw = self._see.create_infer_request(), self._draw.create_infer_request()
            first = len(self._draw.inputs) - len(self._source)
            for index, array in enumerate(self._source):
                draw.set_input_tensor(first + index, openvino.Tensor(array, shared_memory=True))
            read = self._read.create_infer_request() if self._read is not None else None
            self._mine.requests = see, draw, read
        requests: tuple[Any, Any, Any] = self._mine.requests
        return requests

    def _reads_apart(self, model: Family) -> bool:
        return self.precision == "bf16" and isinstance(model, TalkingHead) and model.face_reader is not None

    def _convert(self, model: Family, source: Any, folder: Path) -> None:
        """Writes the graphs; a face reader's is one of its own with bfloat16."""
        folded = self._folded(model, source.image.shape[-1])
        driving = flat_points(source.code)
        if self._reads_apart(model) and isinstance(folded, TalkingHead) and (reader := folded.face_reader) is not None:
            _write(reader, [source.image, source.keypoints.position], folder / READER)
            folded.face_reader = None
        _write(KeypointGraph(folded, self._signature), [source.image], folder / KEYPOINTS)
        kept = (source.image, *driving, *flat_appearance(source))
        _write(LayersGraph(folded, self._signature), [*driving, *kept], folder / LAYERS)

    def _folded(self, model: Family, side: int) -> Family:
        if self.precision != "int8":
            return fold(model, side, winograd=self.precision == "fp32")
        return quantize(fold(model, side), partial(show_samples, size=side))


@torch.no_grad()
def _write(graph: nn.Module, inputs: Sequence[Tensor], path: Path) -> None:
    """Exports a graph for inputs of these shapes and writes it."""
    openvino = import_openvino()
    examples = tuple(
        tensor.detach().clone(memory_format=torch.contiguous_format) for tensor in inputs
    )  # out of inference mode, which tracing refuses
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(graph.eval(), examples, strict=False)
        converted = openvino.convert_model(program)
    converted.reshape({index: list(tensor.shape) for index, tensor in enumerate(examples)})
    openvino.save_model(converted, path, compress_to_fp16=False)


def _taken(request: "openvino.InferRequest", index: int) -> Tensor:
    """A copy of an output, which the next inference overwrites."""
    return torch.from_numpy(request.get_output_tensor(index).data.copy())
