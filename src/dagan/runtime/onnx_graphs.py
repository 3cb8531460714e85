"""ONNX files of a talking head, each checked against PyTorch with ONNX Runtime before it gets its name."""

import logging
import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from dagan.errors import UserError
from dagan.models.family import Family
from dagan.models.matte import load_matte
from dagan.runtime.fold import fold, fold_network
from dagan.runtime.graphs import (
    FrameGraph,
    KeypointGraph,
    LayersGraph,
    Signature,
    SourceGraph,
    flat_appearance,
    flat_code,
    flat_points,
    signature_of,
)
from dagan.runtime.packages import import_onnxruntime, is_installed
from dagan.types import Backdrop, Layers

if TYPE_CHECKING:
    import onnxruntime

OPSET = 18
# Largest difference of any output from PyTorch's, of images and coordinates of order 1: an eighth of a grey level. The
# bundled model differs by 1.2e-4, in a few pixels, on processors with AVX2.
TOLERANCE = 5e-4
CHECKED_BATCH = 3  # not the one that is traced, so that a fixed batch shows


class OnnxGraph(NamedTuple):
    """One graph to write: the module, its inputs with names, how many of the first have a free batch, its outputs."""

    module: nn.Module
    inputs: dict[str, Tensor]
    num_batched: int
    outputs: tuple[str, ...]


def animation_graphs(model: Family, image: Tensor) -> dict[str, OnnxGraph]:
    """The two graphs of an export: `source`, once per portrait, and `frame`, once per batch of driving frames."""
    source, folded, signature = _prepared(model, image)
    code = dict(zip(signature.code, flat_code(source.code), strict=True))
    matte = fold_network(load_matte(), image.shape[-1])
    backdrop = model.composition.backdrop(source.image, matte(source.image))
    kept = {"image": source.image, **code, **_appearance(signature, source), **backdrop._asdict()}
    initial = {f"initial_{name}": part for name, part in code.items()}
    seen = (*signature.code, *signature.appearance, *Backdrop._fields)
    return {
        "source": OnnxGraph(SourceGraph(folded, signature, matte), {"image": source.image}, 1, seen),
        "frame": OnnxGraph(FrameGraph(folded, signature), {"frame": image, **kept, **initial}, 1, ("picture",)),
    }


def engine_graphs(model: Family, image: Tensor) -> dict[str, OnnxGraph]:
    """The two graphs of an engine: `keypoints` of a driving frame, and the `layers` for a code."""
    source, folded, signature = _prepared(model, image)
    points = dict(zip(signature.points, flat_points(source.code), strict=True))
    driving = {f"driving_{name}": part for name, part in points.items()}
    kept = {"image": source.image, **points, **_appearance(signature, source)}
    drawn = OnnxGraph(LayersGraph(folded, signature), {**driving, **kept}, len(driving), Layers._fields)
    return {
        "keypoints": OnnxGraph(KeypointGraph(folded, signature), {"frame": image}, 1, signature.code),
        "layers": drawn,
    }


def write_graphs(
    graphs: dict[str, OnnxGraph], folder: Path, tolerance: float = TOLERANCE, say: Callable[[str], object] = len
) -> dict[str, float]:
    """Writes NAME.onnx for each graph; gives the largest difference from PyTorch that each was checked to have.

    `say` is told of each step before it begins.

    Raises:
        UserError: the packages for export are missing, or a graph differs from PyTorch by more than `tolerance`.
    """
    if not is_installed("onnx", "onnxscript", "onnxruntime"):
        raise UserError("writing ONNX needs more packages: pip install 'dagan[export]'")
    folder.mkdir(parents=True, exist_ok=True)
    return {name: _write(graph, folder / f"{name}.onnx", tolerance, say) for name, graph in graphs.items()}


def open_session(path: Path, num_threads: int) -> "onnxruntime.InferenceSession":
    """The graph in ONNX Runtime on the CPU."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # what it cannot fold beforehand, it computes
    options.intra_op_num_threads, options.inter_op_num_threads = num_threads, 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@torch.no_grad()
def _prepared(model: Family, image: Tensor) -> tuple[Any, Family, Signature]:
    source = model.encode(model.eval().view(image.cpu()))
    return source, fold(model, image.shape[-1]), signature_of(source)


def _appearance(signature: Signature, source: Any) -> dict[str, Tensor]:
    return dict(zip(signature.appearance, flat_appearance(source), strict=True))


def _write(graph: OnnxGraph, path: Path, tolerance: float, say: Callable[[str], object]) -> float:
    partial = path.with_name(f".{path.stem}.{os.getpid()}.onnx")
    try:
        say(f"tracing {path.name}: following the model's operations")
        program = _traced(graph)
        say(f"translating {path.name} to ONNX")
        _translate(graph, program, partial)
        say(f"checking {path.name} in ONNX Runtime")
        difference = _difference(graph, partial)
        if not difference <= tolerance:
            reason = f"{path.name} differs from PyTorch by {difference:.1e}, more than {tolerance:g}: not written"
            raise UserError(f"{reason}; a model that trained little, or at another size, may need more --tolerance")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return difference


@torch.no_grad()
def _traced(graph: OnnxGraph) -> torch.export.ExportedProgram:
    values = tuple(tensor.detach().clone(memory_format=torch.contiguous_format) for tensor in graph.inputs.values())
    batched = _stacked(values, graph.num_batched, 2)  # a batch of 1 would be taken for a constant
    free: dict[int, Any] = {0: torch.export.Dim("batch")}
    fixed: dict[int, Any] = {}
    shapes = tuple(free if index < graph.num_batched else fixed for index in range(len(values)))
    with warnings.catch_warnings(), patch("torch.autocast", _NoAutocast):
        warnings.simplefilter("ignore")
        # Not strict: reading the bytecode, too, takes three times as long, for the same graph.
        return torch.export.export(graph.module.eval(), batched, dynamic_shapes=_nested(graph, shapes), strict=False)


class _NoAutocast(nullcontext[None]):
    """In place of regions without autocast, in which a graph of float32 is anyway: each would be translated by itself,
    several times over."""

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__(None)


@torch.no_grad()
def _translate(graph: OnnxGraph, program: torch.export.ExportedProgram, path: Path) -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it reports packages that are not needed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            program,
            f=path,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            opset_version=OPSET,
            dynamo=True,
            optimize=False,  # runtimes do it when they load a graph
            external_data=False,
            verbose=False,
        )


def _nested(graph: OnnxGraph, shapes: tuple[Any, ...]) -> tuple[Any, ...]:
    """The shapes as `forward` takes its arguments: some graphs gather all or the rest of them with a star."""
    if not isinstance(graph.module, LayersGraph | FrameGraph):
        return shapes
    gathered = 1 if isinstance(graph.module, FrameGraph) else 0
    return (*shapes[:gathered], shapes[gathered:])


def _stacked(values: Sequence[Tensor], num_batched: int, batch: int) -> tuple[Tensor, ...]:
    """The first inputs as a batch of different ones: darker pictures, moved keypoints."""
    stacked = [torch.cat([_varied(value, index) for index in range(batch)]) for value in values[:num_batched]]
    return (*stacked, *values[num_batched:])


def _varied(value: Tensor, index: int) -> Tensor:
    return value * (1 - 0.1 * index) if value.shape[1] == 3 else value + 0.01 * index


@torch.no_grad()
def _difference(graph: OnnxGraph, path: Path) -> float:
    values = _stacked(tuple(graph.inputs.values()), graph.num_batched, CHECKED_BATCH)
    expected = graph.module(*values)
    expected = expected if isinstance(expected, tuple) else (expected,)
    feeds = {name: np.ascontiguousarray(value.numpy()) for name, value in zip(graph.inputs, values, strict=True)}
    found = open_session(path, 0).run(list(graph.outputs), feeds)
    return max(float(np.abs(a - b.numpy()).max()) for a, b in zip(found, expected, strict=True))
