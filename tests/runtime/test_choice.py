import pytest
import torch

from dagan.errors import UserError
from dagan.runtime import choice as choices
from dagan.runtime.choice import build_engine, choose, installed_choices
from dagan.runtime.engine import Choice
from dagan.types import Agreement

CPU, GPU = torch.device("cpu"), torch.device("cuda")
NEAR, FAR = Agreement(45.0, 38.0), Agreement(32.0, 30.0)


@pytest.fixture
def machine(monkeypatch):
    """A machine with packages and precisions as told."""

    def has(packages: tuple[str, ...] = ("openvino", "onnxruntime", "onnx", "onnxscript"), native=("int8", "bf16")):
        monkeypatch.setattr(choices, "is_installed", lambda *wanted: set(wanted) <= set(packages))
        monkeypatch.setattr(choices, "has_native", lambda precision: precision in ("fp32", *native))

    has()
    return has


@pytest.fixture
def model(tiny_model):
    tiny_model.agreement = {"int8": NEAR, "bf16": NEAR}
    return tiny_model


def test_whole_numbers_are_chosen_where_the_model_agrees_in_them(model, machine):
    assert choose(model, CPU) == Choice("openvino", "int8")
    model.agreement = {"int8": FAR, "bf16": FAR}
    assert choose(model, CPU) == Choice("openvino", "fp32")


def test_openvinos_bfloat16_rounds_coordinates_and_is_used_only_when_asked_for(model, machine):
    model.agreement = {"int8": FAR, "bf16": NEAR}
    assert choose(model, CPU) == Choice("openvino", "fp32")
    assert choose(model, CPU, precision="bf16") == Choice("openvino", "bf16")


def test_a_file_that_says_nothing_of_its_precisions_is_computed_in_float32(model, machine):
    model.agreement = {}
    assert choose(model, CPU) == Choice("openvino", "fp32")
    assert choose(model, CPU, runtime="torch") == Choice("torch", "fp32")


def test_what_the_processor_does_not_compute_in_hardware_is_not_chosen(model, machine):
    machine(native=("bf16",))
    assert choose(model, CPU) == Choice("openvino", "fp32")
    machine(packages=(), native=())
    assert choose(model, CPU) == Choice("torch", "fp32")


def test_what_is_not_installed_is_not_chosen(model, machine):
    machine(packages=("onnxruntime", "onnx", "onnxscript"))
    assert choose(model, CPU) == Choice("onnx", "fp32")
    machine(packages=("onnxruntime",))  # it could not write the graphs
    assert choose(model, CPU) == Choice("torch", "bf16")
    machine(packages=(), native=())
    assert choose(model, CPU) == Choice("torch", "fp32")


def test_on_a_gpu_pytorch_computes(model, machine):
    assert choose(model, GPU) == Choice("torch", "bf16")
    model.agreement = {"bf16": FAR}
    assert choose(model, GPU) == Choice("torch", "fp32")


def test_what_is_asked_for_is_taken_however_slow_or_coarse(model, machine):
    model.agreement = {}
    machine(native=())
    assert choose(model, CPU, precision="int8") == Choice("openvino", "int8")
    assert choose(model, CPU, precision="bf16") == Choice("torch", "bf16")
    assert choose(model, CPU, "openvino", "bf16") == Choice("openvino", "bf16")
    assert choose(model, CPU, runtime="onnx") == Choice("onnx", "fp32")


def test_every_installed_engine_can_be_listed(machine):
    machine(native=())
    assert [str(one) for one in installed_choices(CPU)] == ["OpenVINO fp32", "ONNX Runtime fp32", "PyTorch fp32"]


@pytest.mark.parametrize(
    ("device", "runtime", "precision", "said"),
    [
        (CPU, "onnx", "bf16", "fp32 only"),
        (CPU, "torch", "int8", "int8 needs OpenVINO"),
        (GPU, "openvino", "auto", "runs on the CPU"),
        (GPU, "auto", "int8", "runs on the CPU"),
    ],
)
def test_what_cannot_be_is_said(model, machine, device, runtime, precision, said):
    with pytest.raises(UserError, match=said):
        choose(model, device, runtime, precision)


def test_a_missing_package_is_named_with_what_installs_it(model, machine):
    machine(packages=())
    with pytest.raises(UserError, match=r"--runtime openvino needs packages: pip install 'dagan\[fast\]'"):
        choose(model, CPU, "openvino")
    with pytest.raises(UserError, match=r"--precision int8 needs packages: pip install 'dagan\[fast\]'"):
        choose(model, CPU, precision="int8")
    with pytest.raises(UserError, match=r"dagan\[export\]"):
        choose(model, CPU, "onnx")


def test_the_engine_says_what_it_is(model, machine):
    machine(packages=(), native=())
    with torch.inference_mode():
        source = model.encode(model.view(torch.rand(1, 3, 64, 64)))
    engine = build_engine(model, source)
    assert (engine.name, engine.precision) == ("torch", "fp32")
