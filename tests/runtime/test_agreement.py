import pytest
import torch
from safetensors import safe_open

from dagan.errors import UserError
from dagan.models.weights import load, read_metadata, save_model, store_agreement
from dagan.runtime.agreement import measure_agreement, psnr
from dagan.types import Agreement


@pytest.fixture
def file(tmp_path, tiny_model, tiny_config):
    save_model(tmp_path / "model.safetensors", tiny_model, tiny_config, half=True, terms="none")
    return tmp_path / "model.safetensors"


def tensors(path):
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def test_both_coarser_precisions_are_measured_on_drawn_heads(tiny_model):
    measured = measure_agreement(tiny_model, size=64, heads=[100])
    assert measured.keys() == {"int8", "bf16"}
    assert all(20 < one.least <= one.median < 119 for one in measured.values())


def test_psnr_is_in_decibels():
    white = torch.ones(1, 3, 4, 4)
    assert psnr(white - 0.01, white) == pytest.approx(40, abs=1e-3)
    assert psnr(white, white) == pytest.approx(120)


def test_a_model_file_keeps_its_agreement_and_its_tensors(file):
    before, metadata = tensors(file), read_metadata(file)
    assert load(file).agreement == {}
    store_agreement(file, {"int8": Agreement(45.123, 38.0)})
    assert load(file).agreement == {"int8": Agreement(45.1, 38.0)}
    after = tensors(file)
    assert before.keys() == after.keys()
    assert all(one.dtype == after[name].dtype and torch.equal(one, after[name]) for name, one in before.items())
    assert {name: text for name, text in read_metadata(file).items() if name != "agreement"} == metadata


def test_an_agreement_that_cannot_be_read_is_an_error_of_one_line(file):
    from safetensors.torch import save_file

    save_file(tensors(file), file, metadata={**read_metadata(file), "agreement": '{"int8": 45}'})
    with pytest.raises(UserError, match="dagan bench --store"):
        load(file)
