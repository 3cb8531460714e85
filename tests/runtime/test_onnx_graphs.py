import pytest
import torch
from torch import nn

from dagan.errors import UserError
from dagan.runtime.onnx_graphs import OnnxGraph, write_graphs


@pytest.fixture
def graph():
    """A convolution: PyTorch's exporter does not see through the shape checks that tests put on our own modules."""
    pytest.importorskip("onnxscript")
    return OnnxGraph(nn.Conv2d(3, 4, 3), {"frame": torch.rand(1, 3, 8, 8)}, 1, ("picture",))


def test_a_graph_is_written_and_computes_any_batch_as_pytorch_does(graph, tmp_path):
    differences = write_graphs({"small": graph}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["small.onnx"]
    assert 0 <= differences["small"] < 1e-5


def test_each_step_is_said(graph, tmp_path):
    said = []
    write_graphs({"small": graph}, tmp_path, say=said.append)
    assert [line.split(" ")[0] for line in said] == ["tracing", "translating", "checking"]
    assert all("small.onnx" in line for line in said)


def test_a_graph_that_differs_by_more_than_the_tolerance_is_not_written(graph, tmp_path):
    with pytest.raises(UserError, match=r"small\.onnx differs from PyTorch by"):
        write_graphs({"small": graph}, tmp_path, tolerance=-1.0)
    assert not list(tmp_path.iterdir())
