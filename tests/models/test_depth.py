"""F_d: Eq. 1."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dagan.models.depth import FaceDepthConfig, depth_from_disparity

TINY = FaceDepthConfig(base_width=8, decoder_widths=(4, 8, 8, 8, 8))
FIXTURES = Path(__file__).parents[3] / "shared" / "fixtures"


@pytest.mark.parametrize("size", [(64, 64), (32, 32), (37, 70), (96, 32)])
def test_disparity_is_between_0_and_1_at_the_images_size(size: tuple[int, int]) -> None:
    disparity = TINY.build().eval()(torch.rand(2, 3, *size))
    assert disparity.shape == (2, 1, *size)
    assert 0 < disparity.min() < disparity.max() < 1


def test_the_pyramid_halves_and_its_finest_map_is_the_forward_result() -> None:
    network, image = TINY.build().eval(), torch.rand(1, 3, 64, 96)
    pyramid = network.pyramid(image)
    assert [tuple(disparity.shape[2:]) for disparity in pyramid] == [(64, 96), (32, 48), (16, 24), (8, 12)]
    assert torch.equal(network(image), pyramid[0])


def test_with_a_working_size_the_network_sees_a_small_square_and_the_map_is_resized_back() -> None:
    config = FaceDepthConfig(base_width=8, decoder_widths=(4, 8, 8, 8, 8), working_size=32)
    network, image = config.build().eval(), torch.rand(1, 3, 64, 96)
    assert network.pyramid(image)[0].shape == (1, 1, 32, 32)
    assert network(image).shape == (1, 1, 64, 96)


def test_an_image_of_the_working_size_passes_unchanged() -> None:
    plain, small = TINY.build().eval(), FaceDepthConfig(**{**vars(TINY), "working_size": 64}).build().eval()
    small.load_state_dict(plain.state_dict())
    image = torch.rand(1, 3, 64, 64)
    assert torch.allclose(plain(image), small(image), atol=1e-6)


def test_gradients_reach_every_parameter() -> None:
    network = TINY.build()
    torch.stack([disparity.square().mean() for disparity in network.pyramid(torch.rand(2, 3, 64, 64))]).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_an_image_gets_the_same_map_alone_and_in_a_batch() -> None:
    network, images = TINY.build().eval(), torch.rand(3, 3, 64, 64)
    assert torch.allclose(network(images)[1:2], network(images[1:2]), atol=1e-5)


def test_depth_runs_from_the_farthest_to_the_nearest_linearly_in_inverse_depth() -> None:
    disparity = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64).view(1, 1, 1, 3)
    depth = depth_from_disparity(disparity, 0.1, 100.0)
    assert torch.allclose(depth.flatten(), torch.tensor([100.0, 1 / 5.005, 0.1], dtype=torch.float64))


@pytest.mark.data
@pytest.mark.skipif(not FIXTURES.is_dir(), reason="needs ../shared/fixtures")
def test_with_published_names_and_rule_weights_it_computes_what_the_release_computes() -> None:
    sys.path.insert(0, str(FIXTURES))
    from rule_weights import rule_tensor

    reference = np.load(FIXTURES / "reference_dagan.npz")
    keys = json.loads((FIXTURES / "checkpoint_keys.json").read_text())
    published: dict[str, torch.Tensor] = {}
    for file in ("encoder.pth", "depth.pth"):
        for name, shape in keys[f"depth_face_model/{file} (ResNet-18)"].items():
            ours = published_name(name)
            if ours is not None:
                published[ours] = torch.from_numpy(np.asarray(rule_tensor(name, tuple(shape))))
    network = FaceDepthConfig().build().eval()
    missing, unexpected = network.load_state_dict(published, strict=False)
    assert not unexpected
    assert all(name.endswith(("num_batches_tracked", "running_mean")) for name in missing)
    image = torch.from_numpy(reference["source_u8"]).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        pyramid = network.pyramid(image)
    for scale, disparity in enumerate(pyramid):
        expected = torch.from_numpy(reference[f"disp_source_scale{scale}"])
        assert (disparity[0, 0] - expected).abs().max() < 1e-4


def published_name(name: str) -> str | None:
    """Our name for a published tensor; None for what is not part of the network."""
    parts = name.split(".")
    if parts[0] == "encoder":
        unfilled = ("num_batches_tracked", "running_mean")  # the references were made with means of 0
        return None if parts[1] == "fc" or parts[-1] in unfilled else name
    if parts[0] != "decoder":
        return None
    index = int(parts[1])
    if index < 10:
        return f"decoder.blocks.{index}.conv.conv.{parts[-1]}"
    return f"decoder.heads.{index - 10}.conv.{parts[-1]}"
