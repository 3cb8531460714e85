"""Graphs are written in a process of their own: PyTorch's exporter does not see through the tests' shape checks."""

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from dagan.cli.main import main
from dagan.models.weights import load
from dagan.runtime.packages import import_onnxruntime

SIDE = 64
EXAMPLE = Path(__file__).parents[2] / "examples" / "animate_onnx.py"


@pytest.fixture
def graphs(model_file, tmp_path):
    pytest.importorskip("onnxscript")
    folder = tmp_path / "graphs"
    command = [sys.executable, "-m", "dagan", "export", str(model_file), "-o", str(folder), "--size", str(SIDE)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True)
    assert printed.stdout.count("differs from PyTorch by") == 2
    return folder


@pytest.mark.slow
def test_exported_graphs_animate_without_torch(graphs, model_file, portrait, driving, tmp_path):
    assert sorted(path.name for path in graphs.iterdir()) == ["frame.onnx", "source.onnx"]
    onnxruntime = import_onnxruntime()
    encode, render = (onnxruntime.InferenceSession(graphs / f"{name}.onnx") for name in ("source", "frame"))
    image, frames = torch.rand(1, 3, SIDE, SIDE), torch.rand(3, 3, SIDE, SIDE)
    names = [output.name for output in encode.get_outputs()]
    source = dict(zip(names, encode.run(None, {"image": image.numpy()}), strict=True))
    initial = [name for name in (given.name for given in render.get_inputs()) if name.startswith("initial_")]
    own = {name: source[name.removeprefix("initial_")] for name in initial}  # motion is absolute
    found = render.run(None, {"frame": frames.numpy(), "image": image.numpy(), **source, **own})[0]
    with torch.inference_mode():
        model = load(model_file)
        expected = model.render(model.view(image.expand(3, -1, -1, -1)), model.view(frames).keypoints).generated.numpy()
    assert np.abs(found - expected).max() < 1e-4

    out = tmp_path / "out.mp4"
    hidden = "import sys; sys.modules['torch'] = None; sys.argv = sys.argv[1:]; exec(open(sys.argv[0]).read())"
    inputs = [str(EXAMPLE), str(graphs), str(portrait), str(driving), str(out)]
    subprocess.run([sys.executable, "-c", hidden, *inputs], check=True)
    with av.open(str(out)) as container:
        assert (container.streams.video[0].width, container.streams.video[0].frames) == (SIDE, 12)


def test_the_example_is_as_short_as_it_claims():
    lines = EXAMPLE.read_text().splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 45


def test_a_size_that_the_networks_cannot_halve_is_refused(tmp_path, capsys):
    assert main(["export", "-o", str(tmp_path / "graphs"), "--size", "100"]) == 2
    assert "multiple of 32" in capsys.readouterr().err
