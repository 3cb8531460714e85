"""ONNX Runtime as an engine, in float32: one core per frame, several frames at once."""

from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dagan.models.family import Family
from dagan.runtime.engine import Precision, Runtime
from dagan.runtime.graph_cache import engine_folder, whole_graphs
from dagan.runtime.graphs import flat_appearance, flat_points, signature_of
from dagan.runtime.onnx_graphs import engine_graphs, open_session, write_graphs
from dagan.types import Layers


class OnnxEngine:
    """The graphs of a model in ONNX Runtime. The first use of a model writes them to the cache: some seconds."""

    name: Runtime = "onnx"

    def __init__(self, model: Family, source: Any, precision: Precision, num_threads: int) -> None:
        self.precision = precision  # fp32: its CPU kernels know no other
        folder = engine_folder("onnx", version("onnxruntime"), model, source.image.shape[-1])
        with whole_graphs(folder, partial(_write, model, source, folder)):
            self._see = open_session(folder / "keypoints.onnx", 1)
            self._draw = open_session(folder / "layers.onnx", 1)
        self.num_workers = num_threads or torch.get_num_threads()
        self._signature = signature_of(source)
        self._source: dict[str, np.ndarray] = {}

    def set_source(self, source: Any) -> None:
        names = ("image", *self._signature.points, *self._signature.appearance)
        kept = (source.image, *flat_points(source.code), *flat_appearance(source))
        self._source = {name: np.ascontiguousarray(value.numpy()) for name, value in zip(names, kept, strict=True)}

    def keypoints(self, frame: Float[Tensor, "1 3 h w"]) -> Any:
        found = [*map(torch.from_numpy, self._see.run(None, {"frame": frame.numpy()}))]
        return self._signature.gathered(self._signature.code, found)

    def layers(self, driving: Any) -> Layers:
        points = zip(self._signature.points, flat_points(driving), strict=True)
        moved = {f"driving_{name}": part.numpy() for name, part in points}
        return Layers(*map(torch.from_numpy, self._draw.run(list(Layers._fields), {**moved, **self._source})))


@torch.inference_mode(mode=False)
def _write(model: Family, source: Any, folder: Path) -> None:
    write_graphs(engine_graphs(model, source.image.clone()), folder)
