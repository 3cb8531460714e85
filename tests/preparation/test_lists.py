import json

import pytest

from dagan.errors import UserError
from dagan.preparation.lists import read_list, with_lists
from dagan.preparation.units import Unit
from media import blocks, write_video

UTTERANCE = """Identity  : \tid10001
Reference : \t1zcIwhmdeo4
Offset    : \t1
FV Conf   : \t15.3\t(1)
ASD Conf  : \t3.6

FRAME \tX \tY \tW \tH
000200 \t0.250 \t0.200 \t0.250 \t0.400
000249 \t0.300 \t0.200 \t0.250 \t0.400
"""


def _units(tmp_path, *names):
    units = []
    for name in names:
        path = write_video(tmp_path / f"{name}.mp4", blocks(10, 100, 200))
        units.append(Unit(path, path.name, name))
    return units


def _wanted(tmp_path, path, video, exact=False):
    (unit,), missing = with_lists(_units(tmp_path, video), read_list(path), exact)
    assert missing == []
    return unit.wanted


def test_voxceleb_txt(tmp_path):
    folder = tmp_path / "txt" / "id10001" / "1zcIwhmdeo4"
    folder.mkdir(parents=True)
    (folder / "00001.txt").write_text(UTTERANCE)
    (wanted,) = _wanted(tmp_path, tmp_path / "txt", "1zcIwhmdeo4")
    assert (wanted.person, wanted.name) == ("id10001", "id10001_1zcIwhmdeo4_00001")
    assert (wanted.start, wanted.end) == (8.0, 10.0)
    x, y, width, height = wanted.box
    assert (x + width / 2, y + height / 2) == pytest.approx((0.4, 0.4))
    assert width > 0.3


def test_voxceleb_csv(tmp_path):
    path = tmp_path / "vox.csv"
    path.write_text(
        "person_id,video_id,start,end,bbox,fps,width,height,partition\n"
        "id10271,abc,50,100,40-20-140-80,25,400,200,test\nid10001,abc,0,10,0-0-100-100,25,400,200,train\n"
    )
    first, second = _wanted(tmp_path, path, "abc", exact=True)
    assert (first.person, first.start, first.end, first.split, first.exact) == ("id10271", 2.0, 4.0, "test", True)
    assert first.box == pytest.approx((0.1, 0.1, 0.25, 0.3))
    assert second.split == "train"


def test_celebv_hq(tmp_path):
    box = {"top": 0.1, "bottom": 0.9, "left": 0.2, "right": 0.7}
    clips = {"abc_1": {"ytb_id": "abc", "duration": {"start_sec": 81.6, "end_sec": 86.2}, "bbox": box}}
    path = tmp_path / "celebvhq_info.json"
    path.write_text(json.dumps({"meta_info": {}, "clips": clips}))
    (wanted,) = _wanted(tmp_path, path, "abc")
    assert (wanted.start, wanted.end) == (81.6, 86.2)
    assert wanted.box == pytest.approx((0.2, 0.1, 0.5, 0.8))


def test_talking_head_1kh(tmp_path):
    path = tmp_path / "tubes.txt"
    path.write_text("abc_0001, 200, 400, 25, 49, 40, 20, 140, 120\n")
    (wanted,) = _wanted(tmp_path, path, "abc_0001")
    assert (wanted.start, wanted.end) == (1.0, 2.0)  # the last frame counts
    assert wanted.box == pytest.approx((0.1, 0.1, 0.25, 0.5))


def test_hdtf(tmp_path):
    path = tmp_path / "RD_annotion_time.txt"
    path.write_text("Radio11.mp4 00:30-01:00 01:30-02:30\n")
    (tmp_path / "RD_crop_wh.txt").write_text("Radio11_0.mp4 50 100 10 80\n")
    first, second = _wanted(tmp_path, path, "Radio11")
    assert (first.start, first.end, second.start, second.end) == (30, 60, 90, 150)
    assert first.box == pytest.approx((0.25, 0.1, 0.5, 0.8))
    assert second.box is None
    with pytest.raises(UserError, match="Radio11_1 has none"):
        _wanted(tmp_path, path, "Radio11", exact=True)


def test_videos_that_are_not_there_are_named_and_none_at_all_is_refused(tmp_path):
    path = tmp_path / "tubes.txt"
    path.write_text("abc,200,400,25,49,40,20,140,120\nxyz,200,400,25,49,40,20,140,120\n")
    _, missing = with_lists(_units(tmp_path, "abc"), read_list(path), False)
    assert missing == ["xyz"]
    with pytest.raises(UserError, match="none of the 2 listed videos"):
        with_lists(_units(tmp_path, "other"), read_list(path), False)


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "hello\n", "{}", "video_id,start,end,bbox\nabc,x,y,z\n"])
@pytest.mark.parametrize("suffix", [".csv", ".json", ".txt"])
def test_what_is_no_list_is_refused_in_one_line(tmp_path, text, suffix):
    path = tmp_path / f"list{suffix}"
    path.write_text(text)
    with pytest.raises(UserError):
        read_list(path)
