import pytest
import torch

from dagan.evaluation.metrics.l1 import l1


def test_equal_images_are_zero_apart():
    image = torch.rand(2, 3, 8, 8)
    assert l1(image, image).tolist() == [0, 0]


def test_each_pair_of_a_batch_is_measured_by_itself():
    driving = torch.zeros(2, 3, 4, 6)
    generated = driving.clone()
    generated[0, 1] = 0.6  # one of three channels
    generated[1, :, :2] = 0.5  # half of the rows
    assert l1(generated, driving).tolist() == pytest.approx([0.2, 0.25])


def test_the_sign_of_a_difference_does_not_matter():
    a, b = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    assert torch.equal(l1(a, b), l1(b, a))
