"""Stage 2 goes on from an imported checkpoint, with the discriminator that came with it."""

import pytest
import torch

import dagan
import published
from dagan.cli.main import main
from dagan.losses.objective import PAPER_OBJECTIVE, Objective
from dagan.losses.values import PairBatch
from dagan.models.weights import load_discriminator
from dagan.training.forward import GenerationNetworks
from dagan.training.generation_stage import generation_optimizers, generation_step
from parts import tiny_perceptual

LEARNING_RATE = 2e-5  # of fine-tuning
OBJECTIVE = Objective((*PAPER_OBJECTIVE, ("jacobian_equivariance", 10.0)))


@pytest.mark.parametrize("kind", ["dagan", "spade", "fomm"])
def test_a_step_moves_the_model_and_its_discriminator_but_not_the_depth_network(kind, tmp_path):
    depth = [] if kind == "fomm" else ["--depth", *published.write_published_depth(tmp_path)]
    path = tmp_path / "model.safetensors"
    assert main(["import", *map(str, [published.write_published(tmp_path, kind), *depth, "-o", path])]) == 0
    _, judge = load_discriminator(path)
    networks = GenerationNetworks(dagan.load(path), judge, tiny_perceptual())
    before = {name: value.clone() for name, value in networks.named_parameters()}
    buffers = {name: value.clone() for name, value in networks.named_buffers() if name.startswith("model.depth")}
    optimizers = generation_optimizers(networks)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE
    result = generation_step(networks, optimizers, OBJECTIVE, PairBatch(*torch.rand(2, 2, 3, 64, 64)))
    assert all(torch.isfinite(value) for value in result.terms.values())
    changes = {name: (value - before[name]).abs().max().item() for name, value in networks.named_parameters()}
    frozen = {name for name in changes if name.startswith(("model.depth", "perceptual"))}
    assert all(changes[name] == 0 for name in frozen)
    assert all(torch.equal(value, buffers[name]) for name, value in networks.named_buffers() if name in buffers)
    for part in ("model.keypoints", "model.motion", "model.generator", "discriminator"):
        moved = [change for name, change in changes.items() if name.startswith(part)]
        assert 0 < max(moved) <= 1.01 * LEARNING_RATE
