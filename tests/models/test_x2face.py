"""X2Face's own facts: nothing is painted, several sources are joined, the vector passes a ReLU in `render`."""

import pytest
import torch

from dagan.errors import UserError
from dagan.models.families.x2face import DrivingVector, moved_grid, sample
from families import TINY


@pytest.fixture
def model():
    return TINY["x2face"].build().eval()


def test_no_shift_returns_the_image():
    image = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(sample(image, moved_grid(torch.zeros(1, 2, 8, 8)), "zeros"), image)


def test_a_shift_stays_within_the_tanh():
    assert moved_grid(torch.full((1, 2, 4, 4), 100.0))[0, 0, 0, 0] == pytest.approx(0.0)  # from -1 by 1


@torch.inference_mode()
def test_every_pixel_is_one_of_the_source(model):
    source = torch.rand(1, 3, 64, 64) * torch.tensor([1.0, 0.5, 0.0])[:, None, None]
    drawn = model(source, torch.rand(1, 3, 64, 64)).generated
    assert drawn[:, 2].abs().max() == 0
    assert drawn[:, 1].max() <= 0.5


@torch.inference_mode()
def test_the_flow_of_a_rendering_leads_to_the_source(model):
    ramp = torch.linspace(-1, 1, 64).expand(1, 1, 64, 64)  # x of each pixel
    source = torch.cat([ramp, ramp.mT, ramp], 1)
    rendering = model(source, torch.rand(1, 3, 64, 64))
    torch.testing.assert_close(
        rendering.generated[:, 0].clamp(-1, 1), rendering.flow[..., 0].clamp(-1, 1), rtol=0, atol=0.1
    )


@torch.inference_mode()
def test_one_source_twice_is_the_source_and_two_are_averaged_by_confidence(model):
    first, second = (model.encode(model.view(torch.rand(1, 3, 64, 64))) for _ in range(2))
    torch.testing.assert_close(model.joined([first, first]).appearance.face, first.appearance.face)
    a, b = first.appearance, second.appearance
    expected = (a.confidence * a.face + b.confidence * b.face) / (a.confidence + b.confidence)
    torch.testing.assert_close(model.joined([first, second]).appearance.face, expected)


@torch.inference_mode()
def test_what_the_relu_cuts_draws_nothing_else(model):
    view = model.view(torch.rand(1, 3, 64, 64))
    vector = torch.randn_like(view.code.vector)
    cut = DrivingVector(vector.clamp_min(0) - (vector < 0).float())
    drawn = [model.render(view, code).generated for code in (DrivingVector(vector), cut)]
    assert torch.equal(*drawn)


def test_a_size_that_is_not_halved_to_the_bottom_is_refused(model):
    with pytest.raises(UserError, match="32 pixels or a multiple, not 48x48"):
        model.view(torch.rand(1, 3, 48, 48))
    with pytest.raises(UserError, match="no scale to adapt"):
        model.mover(DrivingVector(torch.zeros(1, 8)), DrivingVector(torch.zeros(1, 8)), adapt_scale=True)
