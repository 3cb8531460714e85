"""Anti-aliased downsampling as published models do it."""

import numpy as np
import pytest
import torch

from dagan.nn.blocks import AntiAliasDown, ReleasedDown, ReleasedScaleBy


def shrunk_by_loops(image: np.ndarray, step: int) -> np.ndarray:
    """Zero padding, a Gaussian of sigma (step - 1) / 2, every step-th pixel from 0."""
    sigma = (step - 1) / 2
    reach = round(4 * sigma)
    taps = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    kernel = np.outer(taps, taps) / taps.sum() ** 2
    padded = np.pad(image, reach)
    rows, columns = (range(0, length, step) for length in image.shape)
    width = 2 * reach + 1
    return np.array([[(padded[r : r + width, c : c + width] * kernel).sum() for c in columns] for r in rows])


@pytest.mark.parametrize("step", [2, 4, 8])
def test_shrinking_equals_the_definition_written_as_loops(step):
    image = torch.rand(1, 2, 32, 24)
    ours = ReleasedDown(1 / step)(image)
    for channel in range(2):
        wanted = shrunk_by_loops(image[0, channel].numpy().astype(float), step)
        np.testing.assert_allclose(ours[0, channel].numpy(), wanted, atol=1e-6)


def test_scale_one_is_the_identity_and_the_kernel_is_no_weight():
    image = torch.rand(1, 3, 8, 8)
    assert ReleasedDown(1.0)(image) is image
    down = ReleasedScaleBy().build()
    assert not down.state_dict()
    assert down.kernel.shape == (1, 1, 13, 13)  # as `down.weight` of the checkpoints


def test_what_it_stands_beside_keeps_the_middle_and_the_border_and_this_does_not():
    bright = torch.ones(1, 1, 32, 32)
    assert ReleasedDown(0.25)(bright)[0, 0, 0, 0] < 0.5
    torch.testing.assert_close(AntiAliasDown(0.25)(bright), torch.ones(1, 1, 8, 8))
    ramp = torch.arange(32.0).expand(1, 1, 32, 32)
    middle = (0, 0, 4, 4)
    assert ReleasedDown(0.25)(ramp)[middle] == pytest.approx(16.0)  # pixel 4 * 4, not the middle of its block
    assert AntiAliasDown(0.25)(ramp)[middle] == pytest.approx(17.5)
