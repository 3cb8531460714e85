"""Clips from photos."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dagan.data.clips import fit_square
from dagan.data.decoding import read_frames
from dagan.depth import still_clips
from dagan.depth.still_clips import write_still_clip
from dagan.models.depth import FaceDepthConfig

PORTRAIT = Path(__file__).parents[2] / "src" / "dagan" / "assets" / "astronaut.png"


def test_a_clip_begins_with_its_photo_and_moves_as_its_name_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(still_clips, "NUM_FRAMES", 3)
    monkeypatch.setattr(still_clips, "SIDE", 64)
    network = FaceDepthConfig(base_width=8, decoder_widths=(4, 8, 8, 8, 8)).build().eval()
    photo = Image.open(PORTRAIT).convert("RGB")
    clips = []
    for name in ("ann", "bob", "ann"):
        photo.save(tmp_path / f"{name}.png")
        write_still_clip(tmp_path / f"{name}.png", network, tmp_path / "clip.mp4")
        clips.append(np.stack(list(read_frames(tmp_path / "clip.mp4"))).astype(int))
    ann, bob, again = clips
    assert ann.shape == (3, 64, 64, 3)
    assert np.abs(ann[0] - fit_square(np.asarray(photo), 64)).mean() < 8  # but for the codec
    assert np.abs(ann[1] - ann[0]).mean() > 2
    assert np.array_equal(ann, again)
    assert np.abs(ann[1] - bob[1]).mean() > 2
