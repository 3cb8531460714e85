from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dagan.data.clips import Clip, find_clips
from dagan.data.pair_lists import read_pair_list, write_pair_list
from dagan.data.protocols import Frame, ReenactmentPair, chosen_frames, frame_sha256
from dagan.errors import UserError
from media import blocks, write_video

FOREIGN = "/data/fhongac/origDataset/vox1_frames/test"
SHARED = Path(__file__).parents[3] / "shared" / "fixtures" / "pairs"


def frames(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        Image.new("RGB", (8, 8), (10 * number, 0, 0)).save(folder / name)


def written(path: Path, *rows: str, header: str = "source,driving,frame") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_paths_of_another_machine_are_matched_by_their_trailing_parts(tmp_path):
    frames(tmp_path / "data" / "test" / "id1#a#b.mp4", ["0000003.png", "0000010.png", "0000002.png"])
    row = f"{FOREIGN}/id1#a#b.mp4/0000010.png,{FOREIGN}/id1#a#b.mp4/0000002.png"
    file = written(tmp_path / "list.csv", row)  # two fields under three headings, as people have them
    for root in (tmp_path / "data", tmp_path / "data" / "test"):
        found = read_pair_list(file, root)
        (pair,) = found.pairs
        assert (pair.key, pair.source.number, pair.driving.number) == ("000000", 2, 0)
        assert pair.source.clip.identity == "id1"
        assert found.is_same_clip
        assert [int(frame[0, 0, 0]) for _, frame in chosen_frames(pair.source.clip, [2])] == [10]


def test_a_video_in_the_place_of_its_frames_is_read_by_number(tmp_path):
    write_video(tmp_path / "id1#a.mp4", blocks(6))
    file = written(tmp_path / "list.csv", f"{FOREIGN}/id1#a.mp4/0000005.png,{FOREIGN}/id1#a.mp4/0000001.png")
    (pair,) = read_pair_list(file, tmp_path).pairs
    assert (pair.source.clip.path.name, pair.source.number, pair.driving.number) == ("id1#a.mp4", 5, 1)


def test_celebv_images_are_found_whatever_their_suffix_and_their_person_is_the_folder(tmp_path):
    frames(tmp_path / "Donald_Trump" / "Image", ["P_Trump_1.jpg_0005.png", "P_Trump_2.jpg_0001.png"])
    frames(tmp_path / "Theresa_May" / "Image", ["P_Theresa_9.jpg_0003.jpg"])
    row = "/x/CelebV/Donald_Trump/Image/P_Trump_2.jpg_0001.jpg,/x/CelebV/Theresa_May/Image/P_Theresa_9.jpg_0003.jpg"
    found = read_pair_list(written(tmp_path / "list.csv", row), tmp_path)
    (pair,) = found.pairs
    assert (pair.source.clip.identity, pair.driving.clip.identity) == ("Donald_Trump", "Theresa_May")
    assert pair.source.number == 1
    assert not found.is_same_clip


def test_rows_of_whole_videos_give_the_source_frame_and_the_driving_clip(tmp_path):
    for name in ("id1#a.mp4", "id2#b.mp4"):
        write_video(tmp_path / name, blocks(3))
    found = read_pair_list(written(tmp_path / "list.csv", "id1#a.mp4,id2#b.mp4,2.0", "id1#a.mp4,id2#b.mp4,"), tmp_path)
    first, second = found.pairs
    assert isinstance(first.driving, Clip)
    assert (first.source.number, second.source.number, first.driving.name) == (2, 0, "id2#b")


def test_rows_that_are_not_there_are_named_and_the_others_keep_their_numbers(tmp_path):
    frames(tmp_path / "a.mp4", ["0.png", "1.png"])
    file = written(tmp_path / "list.csv", "/x/gone.mp4/0.png,/x/a.mp4/1.png", "/x/a.mp4/0.png,/x/a.mp4/1.png")
    found = read_pair_list(file, tmp_path)
    assert [pair.key for pair in found.pairs] == ["000001"]
    assert found.missing == ((0, "/x/gone.mp4/0.png"),)


def test_a_bare_frame_number_is_not_taken_for_any_folders(tmp_path):
    frames(tmp_path / "data", ["0000003.png"])
    file = written(tmp_path / "list.csv", "/x/a.mp4/0000003.png,/x/b.mp4/0000003.png")
    with pytest.raises(UserError, match=r"none of the 1 pairs .* the first wants .*a\.mp4/0000003\.png"):
        read_pair_list(file, tmp_path / "data")


def test_a_list_cannot_reach_beyond_the_root(tmp_path):
    frames(tmp_path / "secret", ["a.png"])
    (tmp_path / "data").mkdir()
    file = written(tmp_path / "list.csv", "../secret/a.png,../secret/a.png")
    with pytest.raises(UserError, match="none of the 1 pairs"):
        read_pair_list(file, tmp_path / "data")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "first line must name the columns"),
        ("source,driving\nx.mp4,\n", "row 1 has no source or no driving"),
        (b"\xff\xfe\x00binary", "not CSV text"),
    ],
)
def test_what_is_no_pair_list_is_refused(content, message, tmp_path):
    file = tmp_path / "list.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=message):
        read_pair_list(file, tmp_path)


def test_a_written_list_reads_back_with_the_hashes_of_its_frames(tmp_path):
    write_video(tmp_path / "ann__c0.mp4", blocks(6))
    frames(tmp_path / "bob__c0", ["f1.png", "f2.png", "f10.png"])
    ann, bob = find_clips(tmp_path)
    pairs = [ReenactmentPair("x", Frame(ann, 5), Frame(bob, 2)), ReenactmentPair("y", Frame(bob, 0), Frame(ann, 0))]
    assert write_pair_list(tmp_path / "list.csv", tmp_path, pairs) == 2
    found = read_pair_list(tmp_path / "list.csv", tmp_path).pairs
    assert [(p.source.clip, p.source.number, p.driving.clip, p.driving.number) for p in found] == [
        (ann, 5, bob, 2),
        (bob, 0, ann, 0),
    ]
    for pair in found:
        for frame in (pair.source, pair.driving):
            ((_, pixels),) = chosen_frames(frame.clip, [frame.number])
            assert frame.sha256 == frame_sha256(pixels)
    assert not list(tmp_path.glob(".*partial"))


def test_a_frames_hash_depends_on_its_shape_and_every_byte():
    frame = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    changed = frame.copy()
    changed[1, 3, 2] ^= 1
    assert len({frame_sha256(frame), frame_sha256(frame.reshape(4, 2, 3)), frame_sha256(changed)}) == 3


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared")
@pytest.mark.parametrize("name", ["vox_evaluation", "vox_cross_id_evaluation", "celeV_cross_id_evaluation", "vox256"])
def test_the_lists_that_people_have_are_read_whole(name, tmp_path):
    """Against a root that holds what the first row names."""
    file = SHARED / f"{name}.csv"
    for text in file.read_text().splitlines()[1].split(",")[:2]:
        parts = text.split("/")
        if len(parts) == 1:
            write_video(tmp_path / text, blocks(2))
        else:
            folder = tmp_path.joinpath(*parts[-3:-1])
            folder.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8)).save(folder / parts[-1])
    found = read_pair_list(file, tmp_path)
    assert found.pairs[0].key == "000000"
    assert len(found.pairs) + len(found.missing) == len(file.read_text().splitlines()) - 1
    assert found.is_same_clip == (name == "vox_evaluation")


@pytest.mark.parametrize("frame", ["inf", "-inf", "nan", "1e400", "²", "-1", "9" * 5000, "1e12", "first"])
def test_a_frame_that_is_no_number_of_a_frame_is_refused(tmp_path, frame):
    write_video(tmp_path / "a.mp4", blocks(4))
    file = written(tmp_path / "list.csv", f"/x/a.mp4,/x/a.mp4,{frame}")
    with pytest.raises(UserError, match="expected a number from 0 to 999999999") as refused:
        read_pair_list(file, tmp_path)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("name", ["²", "9" * 5000, "x" * 5000, "a\0b"])
def test_a_name_that_no_frame_can_have_is_a_missing_row(tmp_path, name):
    write_video(tmp_path / "a.mp4", blocks(4))
    file = written(tmp_path / "list.csv", f"/x/a.mp4/{name}.png,/x/a.mp4/0.png", "/x/a.mp4/1.png,/x/a.mp4/0.png")
    found = read_pair_list(file, tmp_path)
    assert [pair.key for pair in found.pairs] == ["000001"]
    assert [row.row for row in found.missing] == [0]
