"""What retargeting learns from, on faces that are computed."""

import pytest
import torch
from torch import Tensor, nn

from dagan.face import MEAN_FACE, NUM_EXPRESSIONS, NUM_LANDMARKS
from dagan.losses.retargeting import expression_placing, expression_reading, expression_transfer
from dagan.transfer.retargeting import FaceRetargeting, FaceRetargetingConfig

CHIN, LOWER_LIP = 1, 8


@pytest.fixture
def model() -> FaceRetargeting:
    return FaceRetargetingConfig(reader_width=32, placer_width=32, gain=1.0).build()


def people(count: int) -> Tensor:
    return 0.4 * (torch.tensor(MEAN_FACE)[:, :2] + 0.03 * torch.randn(count, NUM_LANDMARKS, 2))


def opened(points: Tensor, jaw: Tensor) -> Tensor:
    """Faces whose jaws, shut before, are open by 0 to 1."""
    moved = points.clone()
    moved[:, [CHIN, LOWER_LIP], 1] += 0.12 * jaw[:, None]
    return moved


def parts_moved(loss: Tensor, model: FaceRetargeting) -> set[str]:
    model.zero_grad()
    loss.backward()
    moved = {name for name, p in model.named_parameters() if p.grad is not None and bool(p.grad.abs().sum() > 0)}
    return {name.split(".")[0] for name in moved}


def learned(model: FaceRetargeting, steps: int) -> FaceRetargeting:
    """Trained on faces that open their jaws, as the recipe does it."""
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(steps):
        jaw, now = torch.rand(64), torch.rand(64)
        shut, other = people(64), people(64)
        source, driving, rest = opened(shut, jaw), opened(shut, now), opened(other, torch.rand(64))
        expression = torch.cat([jaw[:, None], torch.zeros(64, NUM_EXPRESSIONS - 1)], 1)
        loss = (
            expression_reading(model, source, expression)
            + 10 * expression_placing(model, source, driving)
            + 3 * expression_transfer(model, source, rest, opened(other, now))
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


@pytest.mark.slow
def test_a_jaw_is_learned_and_carried_over(model: FaceRetargeting) -> None:
    learned(model, 300)
    source, other, jaw = people(64), people(64), torch.rand(64)
    with torch.no_grad():
        transfer = model.of_landmarks(opened(source, torch.full((64,), 0.2)), other)
        moved = transfer(opened(other, 0.6 * jaw)).position
    dropped = (moved - source)[:, LOWER_LIP, 1] / 0.12
    assert torch.corrcoef(torch.stack([dropped, jaw]))[0, 1] > 0.9
    assert float(dropped.mean()) == pytest.approx(0.2 + 0.6 * float(jaw.mean()), abs=0.1)


def test_reading_moves_the_reader_and_placing_the_placer(model: FaceRetargeting) -> None:
    nn.init.normal_(model.placer[-1].weight, std=0.01)  # type: ignore[arg-type]
    source, driving = people(64), people(64)
    assert parts_moved(expression_reading(model, source, torch.rand(64, NUM_EXPRESSIONS)), model) == {"reader"}
    assert parts_moved(expression_placing(model, source, driving), model) == {"placer"}
    assert parts_moved(expression_transfer(model, source, driving, people(64)), model) == {"placer", "kept"}
    assert all(parameter.requires_grad for parameter in model.parameters())
