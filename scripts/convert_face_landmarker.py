"""Gives a model MediaPipe's networks as its face reader: `scripts/convert_face_landmarker.py MODEL OUT`.

They are read from the package's `face_landmarker.task`, a zip of TensorFlow Lite files, whose tensors come in the order
in which `transfer/face_reader.py` names them. Needs `pip install tflite==2.18.0`, the files'
schema. They are float16 there, as in a packed model: nothing is lost. `tests/transfer/test_face_reader.py` compares the
results with MediaPipe's own.
"""

import argparse
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tflite
import torch
from torch import nn

from dagan.models.weights import load, load_config, save_model
from dagan.observers.mediapipe_face import FACE_LANDMARKER
from dagan.transfer.face_reader import FaceReaderConfig

KINDS = {
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.INT32: np.int32,
}
Operator = tflite.BuiltinOperator


class TensorFlowLiteGraph:
    """The operators of a file in their order, each with its constant inputs (None: computed)."""

    def __init__(self, content: bytes) -> None:
        self._model = tflite.Model.GetRootAs(content, 0)
        self._graph = self._model.Subgraphs(0)
        operators = [self._graph.Operators(index) for index in range(self._graph.OperatorsLength())]
        self._half = {  # by the tensor that a half-precision constant is widened to
            int(operator.Outputs(0)): int(operator.Inputs(0))
            for operator in operators
            if self._code(operator) == Operator.DEQUANTIZE
        }
        self._operators = operators

    def constants(self) -> Iterator[tuple[int, list[np.ndarray | None]]]:
        for operator in self._operators:
            if (code := self._code(operator)) != Operator.DEQUANTIZE:
                yield code, [self._constant(int(index)) for index in operator.InputsAsNumpy()]

    def _code(self, operator: Any) -> int:
        code = self._model.OperatorCodes(operator.OpcodeIndex())
        return max(code.BuiltinCode(), code.DeprecatedBuiltinCode())

    def _constant(self, index: int) -> np.ndarray | None:
        tensor = self._graph.Tensors(self._half.get(index, index))
        buffer = self._model.Buffers(tensor.Buffer())
        if buffer.DataLength() == 0:
            return None
        values = np.frombuffer(buffer.DataAsNumpy().tobytes(), KINDS[tensor.Type()])
        return values.reshape(tensor.ShapeAsNumpy() if tensor.ShapeLength() else ()).astype(np.float32)


def mesh_tensors(graph: TensorFlowLiteGraph) -> Iterator[np.ndarray]:
    """Of the convolutions and activations up to the landmarks; two other heads come before those."""
    found: list[np.ndarray] = []
    for code, inputs in graph.constants():
        if code == Operator.CONV_2D:
            _, weight, bias = inputs
            found += [weight.transpose(0, 3, 1, 2), bias]
        elif code == Operator.DEPTHWISE_CONV_2D:
            _, weight, bias = inputs
            assert not bias.any()
            found.append(weight.transpose(3, 0, 1, 2))
        elif code == Operator.PRELU:
            found.append(inputs[1].reshape(-1))
    *body, _, _, _, _, weight, bias = found
    yield from (*body, weight, bias)


def blendshape_tensors(graph: TensorFlowLiteGraph) -> Iterator[np.ndarray]:
    """The extra token first, as `nn.Module` has it; then layers, which are 1x1 convolutions, and norms."""
    found: list[np.ndarray] = []
    for code, inputs in graph.constants():
        if code == Operator.CONV_2D:
            _, weight, bias = inputs
            found += [weight.reshape(len(weight), -1), bias]
        elif code == Operator.CONCATENATION:
            found.insert(0, inputs[0].reshape(1, 1, -1))
        elif code == Operator.MUL and inputs[1] is not None and inputs[1].size > 1:
            found.append(inputs[1])
    yield from found


@torch.no_grad()
def fill(network: nn.Module, tensors: Iterator[np.ndarray]) -> None:
    """Raises ValueError where a tensor has another shape than the network's."""
    for (name, parameter), value in zip(network.named_parameters(), tensors, strict=True):
        if tuple(parameter.shape) != value.shape:
            raise ValueError(f"{name} is {tuple(parameter.shape)}, the file has {value.shape} in its place")
        parameter.copy_(torch.from_numpy(value.copy()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    model, config = load(args.model), replace(load_config(args.model), face_reader=FaceReaderConfig())
    reader = FaceReaderConfig().build()
    with zipfile.ZipFile(FACE_LANDMARKER) as task:
        fill(reader.mesh, mesh_tensors(TensorFlowLiteGraph(task.read("face_landmarks_detector.tflite"))))
        fill(reader.blendshapes, blendshape_tensors(TensorFlowLiteGraph(task.read("face_blendshapes.tflite"))))
    model.face_reader = reader
    save_model(args.out, model, config)


if __name__ == "__main__":
    main()
