import torch

from dagan.nn.pyramid import PAPER_SCALES, ImagePyramid


def test_the_papers_pyramid_of_256_pixels_has_256_128_64_and_32() -> None:
    levels = ImagePyramid()(torch.rand(1, 3, 256, 256))
    assert [tuple(level.shape) for level in levels] == [(1, 3, side, side) for side in (256, 128, 64, 32)]
    assert len(PAPER_SCALES) == 4


def test_the_finest_level_is_the_image_and_a_constant_image_is_constant_at_every_level() -> None:
    image = torch.full((2, 3, 32, 32), 0.3)
    levels = ImagePyramid()(image)
    assert levels[0] is image
    assert all(torch.allclose(level, torch.tensor(0.3)) for level in levels)
