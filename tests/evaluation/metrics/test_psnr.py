import math

import pytest
import torch

from dagan.evaluation.metrics.psnr import MAX_PSNR, psnr


def test_a_uniform_error_has_its_textbook_value():
    driving = torch.full((2, 3, 8, 8), 0.5)
    generated = driving + torch.tensor([0.1, 0.01]).view(2, 1, 1, 1)
    assert psnr(generated, driving).tolist() == pytest.approx([20, 40], abs=1e-3)


def test_one_wrong_pixel_value_has_its_textbook_value():
    driving = torch.zeros(1, 3, 8, 8)
    generated = driving.clone()
    generated[0, 0, 0, 0] = 1
    assert psnr(generated, driving).item() == pytest.approx(10 * math.log10(3 * 8 * 8), abs=1e-4)


def test_equal_images_get_the_largest_value_and_not_infinity():
    image = torch.rand(1, 3, 8, 8)
    assert psnr(image, image).item() == pytest.approx(MAX_PSNR)
