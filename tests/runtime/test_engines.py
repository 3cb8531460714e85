import subprocess
import sys
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from dagan.face import NUM_LANDMARKS
from dagan.models.composition import flat_image
from dagan.models.talking_head import FaceConfig
from dagan.runtime.choice import build_engine
from dagan.runtime.engine import Engine
from dagan.runtime.graph_cache import engine_folder

SIDE = 64


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("DAGAN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def scene(tiny_model):
    """A model, its encoded source, and a driving frame."""
    images = F.interpolate(torch.rand(2, 3, 8, 8), (SIDE, SIDE), mode="bicubic").clamp(0, 1)
    with torch.inference_mode():
        yield tiny_model, tiny_model.encode(tiny_model.view(images[:1])), images[1:]


def picture(engine, source, keypoints) -> torch.Tensor:
    return flat_image(engine.layers(keypoints), source.image)


def drawn(model, source, frame) -> torch.Tensor:
    """With the background still, as engines draw it."""
    return model.render(source, model.view(frame).keypoints).generated


@pytest.mark.parametrize("runtime", ["torch", pytest.param("openvino", marks=pytest.mark.slow)])
def test_in_float32_an_engine_draws_the_models_picture(scene, runtime):
    if runtime == "openvino":
        pytest.importorskip("openvino")
    model, source, frame = scene
    engine = build_engine(model, source, runtime, "fp32")
    assert isinstance(engine, Engine)
    keypoints = engine.keypoints(frame)
    expected = model.view(frame).keypoints
    torch.testing.assert_close(keypoints.position, expected.position, rtol=0, atol=1e-4)
    torch.testing.assert_close(keypoints.jacobian, expected.jacobian, rtol=0, atol=1e-4)
    torch.testing.assert_close(picture(engine, source, keypoints), drawn(model, source, frame), rtol=0, atol=1e-4)


@pytest.mark.slow  # most of a minute: tracing the face reader
def test_openvino_knows_all_that_a_model_of_faces_computes(tiny_config):
    """It has no rule for some of PyTorch's functions (aten.diagonal), and the bundled model could not be animated."""
    pytest.importorskip("openvino")
    keypoints = replace(tiny_config.keypoints, num_keypoints=NUM_LANDMARKS + 3)
    model = replace(tiny_config, keypoints=keypoints, face=FaceConfig()).build().eval()
    with torch.inference_mode():
        source, frame = (model.view(torch.rand(1, 3, SIDE, SIDE)) for _ in range(2))
        source = model.encode(source)
        engine = build_engine(model, source, "openvino", "fp32")
        expected = model.render(source, frame.keypoints).generated
        torch.testing.assert_close(picture(engine, source, frame.keypoints), expected, rtol=0, atol=1e-3)
        found = engine.keypoints(frame.image)
        for name, part in found._asdict().items():
            torch.testing.assert_close(part, getattr(frame.keypoints, name), rtol=0, atol=1e-3)


def test_in_bfloat16_the_picture_is_nearly_the_same(scene):
    model, source, frame = scene
    engine = build_engine(model, source, "torch", "bf16")
    apart = picture(engine, source, engine.keypoints(frame)) - drawn(model, source, frame)
    assert 1e-5 < float(apart.abs().max()) < 0.05


@pytest.mark.slow
def test_in_whole_numbers_the_picture_is_nearly_the_same(scene):
    pytest.importorskip("openvino")
    model, source, frame = scene
    engine = build_engine(model, source, "openvino", "int8")
    apart = picture(engine, source, engine.keypoints(frame)) - drawn(model, source, frame)
    assert 1e-5 < float(apart.abs().max()) < 0.2
    assert float(apart.square().mean()) < 1e-4  # 40 dB


SIGNAL_STACK = """
import ctypes, faulthandler, gc
from dagan.runtime.packages import openvino_core
class Stack(ctypes.Structure):
    _fields_ = [("place", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]
faulthandler.enable()
cores = [openvino_core() for _ in range(2)]
for core in cores:
    core.get_property("CPU", "FULL_DEVICE_NAME")  # loads the processor's plugin
core = None
while cores:
    cores.pop(0)
    gc.collect()
stack = Stack()
ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
ranges = [[int(end, 16) for end in line.split()[0].split("-")] for line in open("/proc/self/maps")]
print(any(low <= stack.place < high for low, high in ranges))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_engines_that_come_and_go_leave_the_process_a_place_to_handle_signals():
    pytest.importorskip("openvino")
    done = subprocess.run([sys.executable, "-c", SIGNAL_STACK], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"]


def test_a_new_source_replaces_the_old_one(scene):
    model, source, frame = scene
    engine = build_engine(model, source, "torch", "fp32")
    other = model.encode(model.view(frame))
    engine.set_source(other)
    torch.testing.assert_close(picture(engine, other, other.keypoints), model.render(other, other.keypoints).generated)


def test_other_weights_have_another_place_in_the_cache(tiny_model, tiny_config):
    def folder(model, side=SIDE):
        return engine_folder("kind", "1", model, side)

    assert folder(tiny_model) == folder(tiny_model)
    assert folder(tiny_model) != folder(tiny_model, 2 * SIDE)
    before = folder(tiny_model)
    with torch.no_grad():
        tiny_model.generator.decoder.last.bias += 1e-6
    assert folder(tiny_model) != before
