"""Neither OpenVINO nor ONNX Runtime reports to its makers. In processes of their own, with an empty home."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dagan.errors import UserError
from dagan.runtime import packages

ROOT = Path(__file__).parents[2]
# Look-ups by Python are counted. ONNX Runtime's are made in C: what switches them off is checked.
WATCH = """
import socket, sys, time
asked = []
def look_up(host, *rest, **more):
    asked.append(host)
    raise OSError("no network here")
socket.getaddrinfo = look_up
"""
OPENVINO = """
import torch
from dagan.runtime.openvino_engine import _write
from dagan.runtime.packages import openvino_core
from pathlib import Path
_write(torch.nn.Conv2d(3, 4, 3), [torch.rand(1, 3, 8, 8)], Path(sys.argv[1]) / "graph.xml")
openvino_core().compile_model(Path(sys.argv[1]) / "graph.xml", "CPU")
"""
DETECTION = """
import numpy as np
from dagan.inference.face_detector import YuNet
YuNet().detect(np.zeros((64, 64, 3), np.uint8))
"""
EXPORT = """
import os, torch
from pathlib import Path
from dagan.runtime.onnx_graphs import OnnxGraph, write_graphs
graph = OnnxGraph(torch.nn.Conv2d(3, 4, 3), {"frame": torch.rand(1, 3, 8, 8)}, 1, ("picture",))
write_graphs({"small": graph}, Path(sys.argv[1]))
assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
"""


def asked_by(work: str, folder: Path) -> str:
    home = folder / "home"
    home.mkdir()
    unwanted = ("CI", "ORT_DISABLE_TELEMETRY")
    environment = {name: value for name, value in os.environ.items() if name not in unwanted}
    environment |= {"HOME": str(home), "PYTHONPATH": str(ROOT / "src")}
    wait = "time.sleep(0.5)\nprint(asked, 'openvino_telemetry' in sys.modules)\n"  # reports are sent by a thread
    command = [sys.executable, "-c", WATCH + work + wait, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not (home / "intel").exists()
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("work", "package"),
    [
        pytest.param(OPENVINO, "openvino", id="compiling"),
        pytest.param(DETECTION, "torch", id="detecting"),
        pytest.param(EXPORT, "onnxscript", id="exporting", marks=pytest.mark.slow),
    ],
)
def test_no_host_is_looked_up(work, package, tmp_path):
    pytest.importorskip(package)
    assert asked_by(work, tmp_path) == "[] False"


def test_a_missing_onnx_runtime_is_an_error_of_one_line(monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install onnxruntime"):
        packages.import_onnxruntime()


def test_openvino_is_imported_as_ever_where_its_telemetry_is_there_already(monkeypatch):
    imported = []
    monkeypatch.setattr(packages, "import_module", imported.append)
    monkeypatch.setitem(sys.modules, packages.TELEMETRY, packages)
    packages.import_openvino()
    assert imported == ["openvino"]
    assert sys.modules[packages.TELEMETRY] is packages
