import pytest
import torch
from torch import nn

from dagan.training.ema import MovingAverage


def constant(value: float) -> nn.BatchNorm1d:
    """A module with weights, running statistics and an integer, all of one value."""
    module = nn.BatchNorm1d(2)
    for tensor in module.state_dict().values():
        tensor.fill_(value)
    return module


def test_it_starts_as_a_copy_that_is_frozen_and_in_evaluation_mode() -> None:
    trained = constant(1.0)
    average = MovingAverage(trained).model
    trained.weight.data.fill_(5)
    assert isinstance(average, nn.BatchNorm1d)
    assert average.weight.tolist() == [1, 1]
    assert not average.training
    assert not any(parameter.requires_grad for parameter in average.parameters())
    assert trained.training
    assert trained.weight.requires_grad


def test_it_follows_weights_and_running_statistics_and_copies_integers() -> None:
    average = MovingAverage(constant(0.0), decay=0.9)
    for step in range(200):
        average.update(constant(1.0))
        if step == 0:
            first = average.model.state_dict()["weight"][0].item()
    state = average.model.state_dict()
    assert first == pytest.approx(1 - 2 / 11)
    assert state["num_batches_tracked"] == 1
    assert all(torch.allclose(state[name].float(), torch.tensor(1.0), atol=1e-4) for name in state)


def test_late_in_a_run_one_step_moves_it_by_one_minus_the_decay() -> None:
    average = MovingAverage(constant(0.0), decay=0.99)
    average.num_updates = 100_000
    average.update(constant(1.0))
    assert average.model.state_dict()["running_mean"].tolist() == pytest.approx([0.01, 0.01])


def test_what_does_not_move_stays_to_the_last_bit() -> None:
    trained = nn.Linear(5, 5)
    average = MovingAverage(trained)
    for _ in range(10):
        average.update(trained)
    assert torch.equal(average.model.state_dict()["weight"], trained.weight)


def test_the_trained_model_is_left_alone() -> None:
    trained = constant(1.0)
    MovingAverage(constant(0.0)).update(trained)
    assert all((value == 1).all() for value in trained.state_dict().values())
