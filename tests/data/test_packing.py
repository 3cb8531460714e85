"""Shards: what goes in comes out by number, `webdataset` can read them, and an interrupted run goes on."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from dagan.data import packing
from dagan.data.clip_index import open_seeking
from dagan.data.clips import fit_square
from dagan.data.decoding import DecodeReport, read_frames
from dagan.data.packing import pack
from dagan.data.shards import list_members, open_shards, read_index
from dagan.data.storing import PackConfig, encode_h264
from dagan.errors import UserError
from media import blocks, disk_full_after, frame_folder, truncate, write_video

NAMES = ["ann#v.1#0#9", "ann#v.2#0#9", "bob__c00", "eve/é a"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in" / "eve").mkdir(parents=True)
    for name in NAMES:
        write_video(tmp_path / "in" / f"{name}.mp4", blocks(12 + len(name), 48, 64), encoder={"g": "5"})
    frame_folder(tmp_path / "in" / "zoe__f", blocks(11, 40, 40))
    return tmp_path / "in"


def contents(out):
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def test_the_bytes_of_clips_come_back_as_the_same_frames(folder, tmp_path):
    result = pack(folder, tmp_path / "out", PackConfig(), jobs=2)
    packed, plain = open_shards(tmp_path / "out", tmp_path, 32), open_seeking(folder, tmp_path / "index", 32)
    assert [clip.clip.name for clip in packed] == [clip.clip.name for clip in plain] == [*NAMES, "zoe__f"]
    assert [clip.clip.identity for clip in packed] == [clip.clip.identity for clip in plain]
    assert sum(clip.num_frames for clip in result.clips) == sum(map(len, plain))
    for one, other in zip(packed, plain, strict=True):
        numbers = [len(other) - 1, 2, 7]
        assert np.array_equal(one.frames[numbers], other.frames[numbers])


@pytest.mark.parametrize(("store", "at_most"), [("h264", 20.0), ("jpeg", 5.0)])  # of noise, where colour is coarse
def test_frames_stored_anew_are_near_to_the_originals(folder, tmp_path, store, at_most):
    pack(folder, tmp_path / "out", PackConfig(store=store, size=32), jobs=1)
    packed, plain = open_shards(tmp_path / "out", tmp_path, 32), open_seeking(folder, tmp_path / "index", 32)
    assert [(clip.clip.name, len(clip)) for clip in packed] == [(clip.clip.name, len(clip)) for clip in plain]
    for one, other in zip(packed, plain, strict=True):
        frames = [clip.frames[[0, 9]].astype(float) for clip in (one, other)]
        assert np.abs(frames[0] - frames[1]).mean() < at_most
        assert np.abs(frames[0] - frames[1][::-1]).mean() > 40  # other frames are far


def test_stored_videos_have_a_keyframe_every_few_frames(tmp_path):
    content = encode_h264(iter(blocks(20)), 64, 8)
    (tmp_path / "a.mp4").write_bytes(content)
    assert len(list(read_frames(tmp_path / "a.mp4"))) == 20
    result = pack(tmp_path, tmp_path / "out", PackConfig(store="h264", size=64, key_every=8), jobs=1)
    video = result.clips[0].video
    assert video is not None
    assert [video.number_at(time) for time in video.key_times] == [0, 8, 16]


@pytest.mark.parametrize("store", ["original", "jpeg"])
def test_webdataset_reads_the_shards(folder, tmp_path, store):
    webdataset = pytest.importorskip("webdataset")
    pack(folder, tmp_path / "out", PackConfig(store=store, size=48), jobs=1)
    samples = list(webdataset.WebDataset(str(tmp_path / "out" / "shard-000000.tar"), shardshuffle=False))
    if store == "jpeg":
        assert len(samples) == sum(len(clip) for clip in open_seeking(folder, tmp_path / "index", 48))
        assert samples[1]["__key__"] == "ann#v%2E1#0#9/000001"
        assert Image.open(io.BytesIO(samples[1]["jpg"])).size == (48, 48)
    else:
        videos = {sample["__key__"]: sample["mp4"] for sample in samples if "mp4" in sample}
        assert len(videos) == len(NAMES)  # not merged at the dots in their names
        assert videos["ann#v%2E2#0#9"] == (folder / "ann#v.2#0#9.mp4").read_bytes()
        assert sum("png" in sample for sample in samples) == 11


def test_one_run_and_several_give_the_same_files(folder, tmp_path, monkeypatch):
    config = PackConfig(shard_bytes=1)  # each clip a shard
    pack(folder, tmp_path / "whole", config, jobs=1)
    assert len(list((tmp_path / "whole").glob("*.tar"))) == 5
    original, seen = packing.ShardWriter.add, []

    def interrupted(self, clip, prepared):
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(clip.name)
        original(self, clip, prepared)

    monkeypatch.setattr(packing.ShardWriter, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pack(folder, tmp_path / "parts", config, jobs=2)
    assert len(list((tmp_path / "parts").glob("*.tar"))) == 3
    prepared = []
    monkeypatch.setattr(packing.ShardWriter, "add", lambda self, *clip: (prepared.append(clip), original(self, *clip)))
    pack(folder, tmp_path / "parts", config, jobs=1)
    assert len(prepared) == 2
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


@pytest.mark.slow
def test_a_killed_run_leaves_whole_shards_and_goes_on(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for number in range(30):
        write_video(folder / f"p{number:02d}__c.mp4", blocks(40, 128, 128))
    program = (
        "from dagan.data.packing import pack; from dagan.data.storing import PackConfig; "
        f"pack({str(folder)!r}, {str(out)!r}, PackConfig(store='h264', size=128, shard_bytes=100_000), 1)"
    )
    run = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    while len(list(out.glob("*.tar"))) < 3 and run.poll() is None:
        time.sleep(0.01)
    os.killpg(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    assert 3 <= len(list(out.glob("*.tar"))) < 30
    config = PackConfig(store="h264", size=128, shard_bytes=100_000)
    pack(folder, out, config, jobs=1)
    pack(folder, tmp_path / "whole", config, jobs=1)
    assert contents(out) == contents(tmp_path / "whole")


def test_bad_clips_are_listed_and_the_others_packed(folder, tmp_path):
    (folder / "broken.mp4").write_text("no video")
    write_video(folder / "short.mp4", blocks(1))
    frame_folder(folder / "mixed", [*blocks(2, 32, 32), *blocks(1, 32, 64)])
    truncate(write_video(folder / "cut__c.mp4", blocks(60), faststart=True))
    result = pack(folder, tmp_path / "out", PackConfig(), jobs=2)
    assert [line.split(":")[0] for line in result.skipped] == ["broken", "mixed", "short"]
    assert (tmp_path / "out" / "skipped.txt").read_text().splitlines() == result.skipped
    assert [line.split(":")[0] for line in result.damaged] == ["cut__c"]
    packed = {clip.clip.name: clip for clip in open_shards(tmp_path / "out", tmp_path, 64)}
    whole = list(read_frames(folder / "cut__c.mp4", DecodeReport()))
    assert len(packed["cut__c"]) == len(whole)
    assert np.array_equal(packed["cut__c"].frames[5], fit_square(whole[5], 64))
    (folder / "broken.mp4").unlink()
    write_video(folder / "broken.mp4", blocks(5))  # mended: the next run takes it in
    again = pack(folder, tmp_path / "out", PackConfig(), jobs=1)
    assert [line.split(":")[0] for line in again.skipped] == ["mixed", "short"]
    assert again.clips[-1].name == "broken"


def test_nothing_to_pack_is_refused(tmp_path):
    (tmp_path / "broken.mp4").write_text("no video")
    with pytest.raises(UserError, match=r"none of the 1 clips .*skipped\.txt says why"):
        pack(tmp_path, tmp_path / "out", PackConfig(), jobs=1)


def test_shards_of_another_kind_are_not_mixed(folder, tmp_path):
    pack(folder, tmp_path / "out", PackConfig(), jobs=1)
    with pytest.raises(UserError, match="store was original"):
        pack(folder, tmp_path / "out", PackConfig(store="jpeg"), jobs=1)
    (tmp_path / "other").mkdir()
    tarfile.open(tmp_path / "other" / "a.tar", "w").close()
    with pytest.raises(UserError, match="did not write"):
        pack(folder, tmp_path / "other", PackConfig(), jobs=1)


def test_shards_without_their_index_are_looked_through_once(folder, tmp_path, monkeypatch):
    out, cache = tmp_path / "out", tmp_path / "cache"
    pack(folder, out, PackConfig(shard_bytes=1), jobs=1)
    before = open_shards(out, cache, 32)
    for index in out.glob("shard-*.json"):
        index.unlink()
    again = open_shards(out, cache, 32)
    assert [(clip.clip, len(clip)) for clip in again] == [(clip.clip, len(clip)) for clip in before]
    for one, other in zip(again, before, strict=True):
        assert np.array_equal(one.frames[[7, 2]], other.frames[[7, 2]])
    monkeypatch.setattr("dagan.data.shards.index_tar", lambda tar: pytest.fail("looked through again"))
    assert len(open_shards(out, cache, 32)) == len(before)


def test_damaged_shards_are_skipped_and_named(folder, tmp_path, capsys):
    out = tmp_path / "out"
    pack(folder, out, PackConfig(shard_bytes=1), jobs=1)
    truncate(out / "shard-000001.tar")
    (out / "shard-000003.json").write_text("{")
    capsys.readouterr()
    assert len(open_shards(out, tmp_path, 32)) == 3
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("skipped 2 of 5 clips and shards")
    assert "shard-000001.tar has" in line
    assert "copy it again" in line
    assert "shard-000003.json is damaged" in line


def test_an_index_is_plain_json(folder, tmp_path):
    pack(folder, tmp_path / "out", PackConfig(), jobs=1)
    plain = json.loads((tmp_path / "out" / "shard-000000.json").read_text())
    assert plain["tar_bytes"] == (tmp_path / "out" / "shard-000000.tar").stat().st_size
    offset, size = plain["clips"][0]["members"][0]
    stored = (tmp_path / "out" / "shard-000000.tar").read_bytes()[offset : offset + size]
    assert stored == (folder / f"{NAMES[0]}.mp4").read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"members": [[0, 10**15]]},
        {"members": [[-5, 10]]},
        {"members": [[10**30, 1]]},
        {"members": [[2**62, 2**62]]},
        {"members": []},
        {"video": {"range": [0, 10**9, 1], "key_times": [0], "counted": False, "damage": None}},
        {"video": {"range": [0, 10**18, 1], "key_times": [0], "counted": False, "damage": None}},
        {"video": [1]},
    ],
)
def test_an_index_that_its_tar_cannot_have_is_damaged(folder, tmp_path, change):
    pack(folder, tmp_path, PackConfig(), jobs=1)
    index = tmp_path / "shard-000000.json"
    plain = json.loads(index.read_text())
    index.write_text(json.dumps(plain | {"clips": [plain["clips"][0] | change]}))
    with pytest.raises(UserError, match=r"shard-000000\.json is damaged"):
        read_index(tmp_path / "shard-000000.tar")


def test_an_index_nested_without_end_is_damaged(folder, tmp_path):
    pack(folder, tmp_path, PackConfig(), jobs=1)
    (tmp_path / "shard-000000.json").write_text("[" * 100_000)
    with pytest.raises(UserError, match=r"shard-000000\.json is damaged"):
        read_index(tmp_path / "shard-000000.tar")


def test_a_compressed_tar_is_refused_before_it_is_unpacked(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w:gz") as archive:
        info = tarfile.TarInfo("clip.mp4")
        info.size = 10_000
        archive.addfile(info, io.BytesIO(bytes(10_000)))
    with pytest.raises(UserError, match=r"a\.tar is not a tar file that can be read"):
        list_members(tmp_path / "a.tar")


def test_a_full_disk_ends_packing_and_the_same_command_goes_on(folder, tmp_path):
    out, config = tmp_path / "out", PackConfig(shard_bytes=1)
    with disk_full_after(3000), pytest.raises(UserError, match="no space left to write"):
        pack(folder, out, config, 1)
    assert {path.suffix for path in out.iterdir()} <= {".json", ".tar"}
    pack(folder, out, config, 1)
    pack(folder, tmp_path / "whole", config, 1)
    assert contents(out) == contents(tmp_path / "whole")


def test_a_clip_is_not_skipped_because_the_disk_is_full(folder, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(packing, "prepare", full)
    monkeypatch.setattr(packing, "ProcessPoolExecutor", ThreadPoolExecutor)
    with pytest.raises(UserError, match="no space left to write"):
        pack(folder, tmp_path / "out", PackConfig(), 1)


@pytest.mark.parametrize("content", [b"", b"\0" * 30])
def test_settings_and_an_index_that_a_power_cut_damaged_are_written_again(folder, tmp_path, content):
    out, config = tmp_path / "out", PackConfig()
    out.mkdir()
    (out / "pack.json").write_bytes(content)
    pack(folder, out, config, 1)
    whole = contents(out)
    next(out.glob("shard-*.json")).write_bytes(content)
    pack(folder, out, config, 1)
    assert contents(out) == whole
