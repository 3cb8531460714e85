"""The mean L1 between features."""

import pytest
import torch

from dagan.losses.distance import mean_distance


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_value_and_gradient_are_those_of_the_mean_absolute_difference(precision: torch.dtype) -> None:
    ours = torch.relu(torch.randn(2, 8, 32, 32)).to(precision).requires_grad_()
    theirs = torch.relu(torch.randn(2, 8, 32, 32)).to(precision)  # zeros in both: no gradient there
    plain = (ours.float() - theirs.float()).abs().mean()
    distance = mean_distance(ours, theirs)
    assert distance.dtype == torch.float32
    assert distance.item() == pytest.approx(plain.item(), rel=1e-4)
    (wanted,), (got,) = torch.autograd.grad(plain, ours), torch.autograd.grad(distance, ours)
    assert torch.equal(got, wanted)
    assert (got == 0).any()


def test_the_other_side_gets_no_gradient() -> None:
    ours, theirs = torch.rand(3, requires_grad=True), torch.rand(3, requires_grad=True)
    mean_distance(ours, theirs).backward()
    assert ours.grad is not None
    assert theirs.grad is None
