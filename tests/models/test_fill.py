import pytest
import torch

from dagan.models.fill import fill


@pytest.mark.parametrize("size", [(64, 64), (37, 50)])
def test_known_pixels_stay_and_unknown_ones_take_the_colour_around_them(size):
    image = torch.rand(1, 3, *size)
    known = torch.ones(1, 1, *size)
    known[..., 10:20, 10:20] = 0
    image[..., 5:25, 5:25] = torch.tensor([0.2, 0.5, 0.8]).view(1, 3, 1, 1)
    holed = torch.where(known > 0, image, torch.ones(1))
    filled = fill(holed, known)
    assert torch.equal(filled * known, image * known)
    assert (filled - image)[..., 10:20, 10:20].abs().max() < 0.1


def test_a_gradient_goes_on_into_the_hole():
    image = torch.linspace(0, 1, 64).expand(1, 3, 64, 64).contiguous()
    known = torch.ones(1, 1, 64, 64)
    known[..., 24:40, 24:40] = 0
    filled = fill(image * known, known)[0, 0, 32]
    assert filled[26] < filled[37]
    assert (filled - image[0, 0, 32]).abs().max() < 0.15


def test_where_nothing_is_known_nothing_is_made_up_that_is_not_finite():
    assert fill(torch.rand(1, 3, 16, 16), torch.zeros(1, 1, 16, 16)).isfinite().all()
