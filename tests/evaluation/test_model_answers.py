"""What a model's image must be before it is scored."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from dagan.data.clips import Clip
from dagan.data.protocols import Frame, pair_of
from dagan.errors import UserError
from dagan.evaluation.model_systems import FunctionSystem
from dagan.evaluation.systems import PairImages

CLIP = Clip(Path("ann.mp4"), "ann", "ann")


class Answer(NamedTuple):
    generated: Tensor


def answered(model):
    images = PairImages(*np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8))
    return FunctionSystem(model).generate(pair_of(Frame(CLIP, 0), Frame(CLIP, 1)), images)


def test_an_image_that_is_not_finite_is_refused():
    with pytest.raises(UserError, match="not finite"):
        answered(lambda source, driving: Answer(driving * float("nan")))


def test_an_image_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"\(1, 3, 32, 16\)"):
        answered(lambda source, driving: Answer(driving[..., ::2]))


def test_the_model_gets_images_between_zero_and_one_and_no_gradients():
    def model(source: Tensor, driving: Tensor) -> Answer:
        assert source.shape == driving.shape == (1, 3, 32, 32)
        assert 0 <= float(source.min()) < 0.2 < 0.8 < float(source.max()) <= 1
        assert not torch.is_grad_enabled()
        return Answer(source)

    assert answered(model).shape == (32, 32, 3)
