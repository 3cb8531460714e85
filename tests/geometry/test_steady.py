"""Values seen frame by frame, made steady."""

import pytest
import torch

from dagan.inference.recorded_motion import steadied


def trembling(values: torch.Tensor) -> float:
    return float((values[2:] - 2 * values[1:-1] + values[:-2]).std())


def test_what_trembles_rests_and_what_jumps_does_so_at_once() -> None:
    still = 0.3 + 0.02 * torch.randn(200, 1, generator=torch.Generator().manual_seed(0))
    jump = torch.where(torch.arange(200)[:, None] < 100, still, still + 0.6)
    found = steadied(jump, 0.07)
    assert trembling(found[:98]) < 0.5 * trembling(jump[:98])
    assert float((found[99:101, 0] - torch.tensor([0.3, 0.9])).abs().max()) < 0.05


def test_a_blink_of_a_few_frames_stays_a_blink() -> None:
    lids = torch.tensor([0.1, 0.1, 0.1, 0.4, 0.9, 0.4, 0.1, 0.1, 0.1])[:, None]
    assert float(steadied(lids, 0.07).max()) == pytest.approx(0.9, abs=0.01)


def test_each_value_is_the_weighted_mean_of_its_frames() -> None:
    values = torch.rand(7, 3)
    found = steadied(values, 0.2)
    for t in range(7):
        for n in range(3):
            around = [(values[s, n], abs(s - t)) for s in range(max(0, t - 2), min(7, t + 3))]
            weights = [
                torch.exp(-((value - values[t, n]) ** 2) / (2 * 0.2**2)) / max(1, distance)
                for value, distance in around
            ]
            mean = sum(w * value for w, (value, _) in zip(weights, around, strict=True)) / sum(weights)
            assert float(found[t, n]) == pytest.approx(float(mean), abs=1e-5)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_frames_are_no_matter(count: int) -> None:
    values = torch.rand(count, 2)
    assert steadied(values, 0.1).shape == values.shape
    assert torch.equal(steadied(values[:1], 0.1), values[:1])
    assert torch.allclose(steadied(values[:1].expand(count, -1), 0.1), values[:1])
