from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dagan.data.clips import Clip
from dagan.data.protocols import Frame, ReenactmentPair
from dagan.errors import UserError
from dagan.evaluation.systems import GeneratedFolder, PairImages
from media import write_video

CLIP = Clip(Path("ann.mp4"), "ann", "ann")
PICTURE = np.zeros((64, 64, 3), np.uint8)
PAIR = PairImages(PICTURE, PICTURE)


def pair(key="000001", driving=0):
    return ReenactmentPair(key, Frame(CLIP, 0), Frame(CLIP, driving))


def flat(value, side=64):
    return np.full((side, side, 3), value, np.uint8)


def test_an_image_of_the_key_is_found_whatever_its_suffix_and_size(tmp_path):
    Image.fromarray(flat(90, side=128)).save(tmp_path / "000001.png")
    files = GeneratedFolder(path=str(tmp_path), size=64).build()
    assert np.array_equal(files.generate(pair(), PAIR), flat(90))
    assert files.generate(pair("000002"), PAIR) is None


def test_a_video_gives_the_frame_of_the_driving_frame_and_nothing_past_its_end(tmp_path):
    write_video(tmp_path / "000001.mp4", [flat(40 * n) for n in range(4)])
    files = GeneratedFolder(path=str(tmp_path), size=64).build()
    means = [files.generate(pair(driving=n), PAIR).mean() for n in (0, 3, 1)]
    assert means == pytest.approx([0, 120, 40], abs=3)
    assert files.generate(pair(driving=4), PAIR) is None


def test_a_folder_of_frames_does_as_a_video(tmp_path):
    (tmp_path / "000001").mkdir()
    for n in range(3):
        Image.fromarray(flat(n)).save(tmp_path / "000001" / f"{n}.png")
    files = GeneratedFolder(path=str(tmp_path), size=64).build()
    assert files.generate(pair(driving=2), PAIR).max() == 2


def test_the_fingerprint_follows_the_files(tmp_path):
    folder = GeneratedFolder(path=str(tmp_path), size=64)
    before = folder.fingerprint()
    Image.fromarray(flat(1)).save(tmp_path / "a.png")
    assert folder.fingerprint() != before


def test_a_missing_folder_is_named():
    with pytest.raises(UserError, match="no such folder of generated images: absent"):
        GeneratedFolder(path="absent", size=64).build()
