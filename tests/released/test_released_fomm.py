"""The published FOMM, imported: the reference results, and its two meanings of sampling."""

import pytest
import torch
from torch import Tensor

import dagan
import published
from dagan.models.weights import load_discriminator

pytestmark = pytest.mark.data
TENSORS = [
    *(f"kp_{view}_{part}" for view in ("source", "driving") for part in ("value", "jacobian")),
    *("mask", "occlusion_map", "deformed", "prediction"),
]


@pytest.fixture(scope="module")
def arrays(reference) -> dict[str, Tensor]:
    return reference("fomm")


@pytest.fixture(scope="module")
def model_file(imported):
    return imported("fomm", zipped=False)


@pytest.fixture(scope="module")
def ours(model_file, images) -> dict[str, Tensor]:
    model = dagan.load(model_file)
    with torch.inference_mode():
        source, driving = (model.view(images[name]) for name in ("source", "driving"))
        rendering = model.render(source, driving.keypoints)
    results = {
        "mask": rendering.mask,
        "occlusion_map": rendering.occlusion,
        "deformed": rendering.warped,
        "prediction": rendering.generated,
    }
    for name, view in (("source", source), ("driving", driving)):
        results |= {f"kp_{name}_value": view.keypoints.position, f"kp_{name}_jacobian": view.keypoints.jacobian}
    return results


@pytest.mark.parametrize("name", TENSORS)
def test_a_tensor_is_the_published_one(name, ours, arrays):
    assert published.largest_difference(ours[name], arrays[name]) <= 1e-4


def test_no_tensor_of_the_reference_is_left_out(arrays):
    assert set(arrays) == set(TENSORS)


def test_the_discriminator_comes_with_its_spectral_norm(model_file, images):
    config, discriminator = load_discriminator(model_file)
    assert (config.spectral, config.num_keypoints) == (True, 0)
    weight = discriminator.blocks[1].conv.weight.flatten(1)
    torch.testing.assert_close(torch.linalg.matrix_norm(weight, 2), torch.tensor(1.0), rtol=1e-3, atol=0)
    with torch.inference_mode():
        assert discriminator.eval()(images["driving"]).prediction.shape == (1, 1, 26, 26)
