import numpy as np
import pytest
from PIL import Image

from dagan.data.clips import Clip, find_clips
from dagan.data.protocols import Frame, ReenactmentPair, chosen_frames
from dagan.data.triples import export_pairs, is_triple_folder, read_triples
from dagan.errors import UserError
from media import blocks, write_video


@pytest.fixture
def root(tmp_path):
    for side in ("source", "driving"):
        (tmp_path / side).mkdir()
        Image.new("RGB", (8, 8), (50, 0, 0)).save(tmp_path / side / "a.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "source" / "b.jpg")
    write_video(tmp_path / "driving" / "b.mp4", blocks(3))
    Image.new("RGB", (8, 8)).save(tmp_path / "source" / "alone.png")
    return tmp_path


def test_equal_names_are_pairs_of_images_or_an_image_and_a_video(root):
    assert is_triple_folder(root)
    image, video = read_triples(root)
    assert isinstance(image.driving, Frame)
    assert (image.key, image.driving.number) == ("a", 0)
    assert isinstance(video.driving, Clip)
    assert (video.key, video.driving.path.suffix) == ("b", ".mp4")
    ((_, pixels),) = chosen_frames(image.source.clip, [0])
    assert pixels[0, 0].tolist() == [50, 0, 0]


def test_folders_without_a_common_name_are_the_users_to_know(root):
    (root / "driving" / "a.png").unlink()
    (root / "driving" / "b.mp4").unlink()
    with pytest.raises(UserError, match="has the name of one in"):
        read_triples(root)


def test_exported_pairs_read_back_as_the_same_pictures(tmp_path):
    folder = tmp_path / "clips" / "ann__c0"
    folder.mkdir(parents=True)
    for index in range(4):
        Image.new("RGB", (16, 16), (index, 0, 0)).save(folder / f"{index}.png")
    (clip,) = find_clips(folder.parent)
    pairs = [ReenactmentPair("x", Frame(clip, 3), Frame(clip, 1)), ReenactmentPair("y", Frame(clip, 1), Frame(clip, 0))]
    assert export_pairs(pairs, tmp_path / "out", size=8) == 2
    found = [
        [
            np.unique(pixels).max()
            for frame in (pair.source, pair.driving)
            for _, pixels in chosen_frames(frame.clip, [0])
        ]
        for pair in read_triples(tmp_path / "out")
    ]
    assert found == [[3, 1], [1, 0]]
