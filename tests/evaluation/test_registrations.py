"""The baseline without a network."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dagan.data.clips import Clip
from dagan.data.protocols import Frame, pair_of
from dagan.errors import UserError
from dagan.evaluation.registrations import Registrations
from dagan.evaluation.systems import PairImages

CLIP = Clip(Path("ann.mp4"), "ann", "ann")


def test_a_camera_that_moved_is_followed():
    blobs = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    wide = np.asarray(Image.fromarray(blobs).resize((144, 144), Image.Resampling.BICUBIC))
    images = PairImages(wide[:128, :128], wide[:128, 6:134])
    moved = Registrations().build("registered").generate(pair_of(Frame(CLIP, 0), Frame(CLIP, 1)), images)
    before, after = (np.abs(image.astype(float) - images.driving)[:, :110].mean() for image in (images.source, moved))
    assert after < 0.3 * before


def test_it_needs_to_be_told():
    with pytest.raises(UserError, match="--motion registered"):
        Registrations().build("from source")
