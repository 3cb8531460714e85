"""The example of docs/paper.md: it runs, it learns, and depth reaches where the page says."""

import runpy
from pathlib import Path

import pytest
import torch

from dagan.models.depth import FaceDepthConfig

EXAMPLE = Path(__file__).parents[2] / "examples" / "plug_depth_in.py"


@pytest.fixture(scope="module")
def example() -> dict:
    return runpy.run_path(str(EXAMPLE))


@pytest.fixture
def model(example):
    return example["MyAnimator"](FaceDepthConfig(base_width=8, decoder_widths=(4, 8, 8, 8, 8)).build())


def test_the_example_learns(example):
    losses = example["main"](8)
    assert losses[-1] < 0.95 * losses[0]


def test_gradients_reach_both_parts_and_leave_the_depth_network_alone(model):
    with torch.no_grad():
        model.attention.merge.gamma.fill_(0.5)  # an untrained gate is closed
    model(torch.rand(1, 3, 128, 128), torch.rand(1, 3, 128, 128)).mean().backward()
    for part in (model.detector.weight[:, 3:], model.attention.query.weight, *model.depth_encoder.parameters()):
        gradient = part.grad if part.is_leaf else model.detector.weight.grad[:, 3:]
        assert gradient.abs().sum() > 0
    assert all(parameter.grad is None for parameter in model.depth.parameters())


def test_with_the_gate_closed_and_no_weight_on_the_depth_channel_depth_changes_nothing(model):
    source, driving = torch.rand(2, 1, 3, 128, 128)
    with torch.no_grad():
        model.detector.weight[:, 3:] = 0
        before = model(source, driving)
        for parameter in model.depth.parameters():
            parameter.mul_(-2)
        assert torch.equal(model(source, driving), before)
        model.attention.merge.gamma.fill_(1)
        assert not torch.equal(model(source, driving), before)
