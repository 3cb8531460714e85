"""Several processes act as one."""

import os
import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from dagan.errors import UserError
from dagan.training.batch_norm import ProcessBatchNorm2d, synchronise_batch_norm
from dagan.training.distributed import (
    ALONE,
    Consensus,
    World,
    average_gradients,
    copy_flat,
    join_world,
    naming_lost_peers,
)

SAMPLES = torch.arange(12.0).view(4, 3)
IMAGES = torch.randn(4, 2, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def gradient(samples):
    model = nn.Linear(3, 2)
    nn.init.constant_(model.weight, 0.5)
    nn.init.zeros_(model.bias)
    model(samples).square().mean().backward()
    return model


def normalised(images, world):
    """Gradients and statistics of two convolutions with batch norm."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2))
    model.double()
    names = list(model.state_dict())
    synchronise_batch_norm(model, world)
    assert list(model.state_dict()) == names
    weights = torch.linspace(0, 1, 4 * 2, dtype=torch.float64).view(4, 2, 1, 1)[world.rank :: world.size]
    (model(images) * weights).square().mean().backward()
    average_gradients(model)
    return [p.grad for p in model.parameters()] + list(model.buffers()), model


def work(rank, port, folder):
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ["OMP_NUM_THREADS"] = "1"
    world = join_world()
    model = gradient(SAMPLES[rank::2])
    average_gradients(model)
    consensus = Consensus(world)
    asked = [consensus.asked(rank == 1 and step == 1) for step in range(4)]
    order = []
    with world.main_first():
        order.append(rank)
    tensors, layers = normalised(IMAGES[rank::2], world)
    facts = [world.is_main, asked, world.mean(torch.tensor([float(rank)])), world.gather(torch.tensor([rank]))]
    facts += [world.from_main(torch.tensor([rank + 5])), type(layers[1]) is ProcessBatchNorm2d]
    torch.save([model.weight.grad, tensors, facts], folder / f"{rank}.pt")
    world.wait()
    world.leave()


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_two_processes_are_one_with_the_whole_batch(tmp_path):
    """Gradients, batch norms and their statistics, when to stop, means and samples."""
    mp.spawn(work, (free_port(), tmp_path), nprocs=2)
    whole = gradient(SAMPLES).weight.grad
    wanted, _ = normalised(IMAGES, ALONE)
    for rank in range(2):
        averaged, tensors, facts = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(averaged, whole)
        for ours, theirs in zip(tensors, wanted, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
        is_main, asked, mean, gathered, of_main, is_synchronised = facts
        assert is_main == (rank == 0)
        assert asked == [False, False, True, False]  # one step later, in both
        assert mean.tolist() == [0.5]
        assert gathered.tolist() == [0, 1]
        assert of_main.tolist() == [5]
        assert is_synchronised


def test_one_process_is_a_world_of_its_own(monkeypatch):
    model = gradient(SAMPLES)
    before = model.weight.grad.clone()
    average_gradients(model)
    assert torch.equal(model.weight.grad, before)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    world = join_world()
    assert world == ALONE == World()
    assert world.is_main
    assert [Consensus(world).asked(claim) for claim in (True, False)] == [True, False]
    synchronise_batch_norm(norm := nn.Sequential(nn.BatchNorm2d(2)), world)
    assert type(norm[0]) is nn.BatchNorm2d


def test_several_processes_without_accelerate_say_what_to_install(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(__import__("sys").modules, "accelerate", None)
    with pytest.raises(UserError, match=r"pip install 'dagan\[train\]'"):
        join_world()


def test_errors_of_collectives_name_the_lost_process_and_others_stay():
    for error in (
        dist.DistBackendError("NCCL communicator was aborted"),
        RuntimeError("[gloo/pair.cc] closed by peer"),
    ):
        with pytest.raises(UserError, match="another process of this run has ended"), naming_lost_peers():
            raise error
    with pytest.raises(RuntimeError, match="shapes"), naming_lost_peers():
        raise RuntimeError("shapes differ")


def test_a_vector_fills_tensors_one_after_the_other():
    tensors = [torch.zeros(2, 2), torch.zeros(3)]
    copy_flat(torch.arange(7.0), tensors)
    assert [tensor.tolist() for tensor in tensors] == [[[0, 1], [2, 3]], [4, 5, 6]]
