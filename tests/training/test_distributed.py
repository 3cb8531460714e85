"""Several processes act as one."""

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from dagan.training.distributed import World, average_gradients, join_world

SAMPLES = torch.arange(12.0).view(4, 3)


def gradient(samples):
    model = nn.Linear(3, 2)
    nn.init.constant_(model.weight, 0.5)
    nn.init.zeros_(model.bias)
    model(samples).square().mean().backward()
    return model


def work(rank, port, folder):
    import os

    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    world = join_world()
    model = gradient(SAMPLES[rank::2])
    average_gradients(model)
    torch.save([model.weight.grad, world.any(rank == 1), world.any(False), world.is_main], folder / f"{rank}.pt")
    world.wait()
    dist.destroy_process_group()


def free_port():
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_two_processes_have_the_gradient_of_the_whole_batch_and_agree_when_to_stop(tmp_path):
    mp.spawn(work, (free_port(), tmp_path), nprocs=2)
    whole = gradient(SAMPLES).weight.grad
    for rank in range(2):
        averaged, somebody, nobody, is_main = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(averaged, whole)
        assert somebody
        assert not nobody
        assert is_main == (rank == 0)


def test_one_process_is_a_world_of_its_own():
    model = gradient(SAMPLES)
    before = model.weight.grad.clone()
    average_gradients(model)
    assert torch.equal(model.weight.grad, before)
    assert World().is_main
    assert World().any(True)
