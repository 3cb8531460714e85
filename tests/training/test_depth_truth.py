"""The supervised term of the default weights: its targets and its error."""

from pathlib import Path

import pytest
import torch

from dagan.data.synthetic.store import StoredClip, synthetic_clips
from dagan.losses.portrait import HEAD_DISPARITY
from dagan.training.depth_truth import HEAD_WEIGHT, TrueDepth, TrueDepths, truth_error


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> list[StoredClip]:
    folder: Path = tmp_path_factory.mktemp("heads")
    return synthetic_clips(range(1), folder, 3, 64)


def test_a_sample_depends_on_its_number_alone_and_is_in_range(heads: list[StoredClip]) -> None:
    samples = TrueDepths(heads, 8, seed=0)
    first, again, other = samples[3], TrueDepths(heads, 99, seed=0)[3], samples[4]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.frame, other.frame)
    assert 0 <= first.frame.min() <= first.frame.max() <= 1
    assert 0 < first.disparity.min() <= first.disparity.max() < 1


def test_the_head_stands_where_the_self_supervised_gauge_puts_it_before_a_far_background(
    heads: list[StoredClip],
) -> None:
    for index in range(4):
        sample = TrueDepths(heads, 4, seed=0)[index]
        head = sample.weight > HEAD_WEIGHT - 0.1
        assert abs(float(sample.disparity[head].median()) - HEAD_DISPARITY) < 0.03
        assert sample.disparity[sample.weight < 0.6].max() < sample.disparity[head].median() - 0.2


def test_the_error_is_zero_at_the_truth_and_moves_the_disparity_towards_it() -> None:
    truth = TrueDepth(torch.rand(1, 3, 16, 16), torch.rand(1, 1, 16, 16), torch.ones(1, 1, 16, 16))
    halved = torch.nn.functional.avg_pool2d(truth.disparity, 2)
    assert truth_error((truth.disparity, halved), truth) == 0
    guess = torch.full((1, 1, 16, 16), 0.5, requires_grad=True)
    before = truth_error((guess,), truth)
    before.backward()
    assert guess.grad is not None
    assert truth_error((guess.detach() - 0.5 * guess.grad,), truth) < before


def test_a_relief_that_is_missing_counts_more_than_an_offset() -> None:
    x = torch.linspace(0, 1, 16).expand(1, 1, 16, 16)
    ripple = 0.5 + 0.05 * torch.sin(40 * x)
    truth = TrueDepth(torch.zeros(1, 3, 16, 16), ripple, torch.ones_like(x))
    flat, shifted = torch.full_like(x, 0.5), ripple + (ripple - 0.5).abs().mean()
    assert truth_error((flat,), truth) > 2 * truth_error((shifted,), truth)
