"""`dagan data pack` and `dagan data pairs`, and training from packed clips."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dagan.cli.clips import open_all
from dagan.cli.main import main
from dagan.cli.training import add_common_arguments
from media import blocks, write_video


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    (tmp_path / "clips").mkdir()
    for name in ("ann#v#0#1", "ann#w#0#1", "bob__c00"):
        write_video(tmp_path / "clips" / f"{name}.mp4", blocks(14), encoder={"g": "5"})
    return tmp_path / "clips"


def opened(*words: object):
    import argparse

    parser = argparse.ArgumentParser()
    add_common_arguments(parser)
    return open_all(parser.parse_args([*map(str, words), "--size", "32"]))


def test_pack_says_what_it_packed_and_what_not(clips, tmp_path, capsys):
    (clips / "bad.mp4").write_text("no video")
    assert main(["data", "pack", str(clips), "-o", str(tmp_path / "shards"), "--jobs", "1"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{tmp_path}/shards: 1 shards, 3 clips of 2 people, 42 frames, ")
    assert second.startswith("skipped 1 clips")
    assert "bad: not a video" in second


def test_training_opens_folders_caches_and_shards_alike(clips, tmp_path):
    for store in ("original", "h264"):
        assert main(["data", "pack", str(clips), "-o", str(tmp_path / store), "--store", store, "--jobs", "1"]) == 0
    run = ("-o", tmp_path / "run")
    seek, cached = opened(clips, *run), opened(clips, *run, "--decode", "cache")
    shards, anew = opened(tmp_path / "original", *run), opened(tmp_path / "h264", *run, "--decode", "cache")
    for others in (cached, shards, anew):
        assert [(clip.clip.name, clip.clip.identity, len(clip)) for clip in others] == [
            (clip.clip.name, clip.clip.identity, len(clip)) for clip in seek
        ]
    for clip, *same in zip(seek, cached, shards, strict=True):
        assert all(np.array_equal(clip.frames[[9, 2]], other.frames[[9, 2]]) for other in same)
    kinds = [path.suffix for path in sorted((tmp_path / "run" / "cache").rglob("*.*")) if path.is_file()]
    assert kinds.count(".npy") == 3  # `seek` and shards decode nothing beforehand


def test_a_cache_that_is_named_is_used_for_frames_as_before(clips, tmp_path):
    opened(clips, "-o", tmp_path / "run", "--cache", tmp_path / "cache")
    assert len(list((tmp_path / "cache" / "clips").glob("*.npy"))) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pack", "{}/missing", "-o", "{}/out"], "no such folder of clips"),
        (["pack", "{}", "-o", "{}/out"], "no clips in"),
        (["pack", "{}/clips", "-o", "{}/out", "--size", "33", "--store", "h264"], "--size 33"),
        (["pack", "{}/clips", "-o", "{}/clips/bob__c00.mp4"], "the output is a file"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(clips, tmp_path, capsys, words, said):
    where = tmp_path if "{}" not in words else tmp_path / "empty"
    where.mkdir(exist_ok=True)
    assert main(["data", *(word.format(where) for word in words)]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("dagan: error: ")
    assert printed.count("\n") == 1
    assert said in printed


@pytest.mark.parametrize("out", ["clips/bob__c00.mp4", "clips/frames/0.png"])
def test_a_list_replaces_no_clip(clips, tmp_path, capsys, out):
    (clips / "frames").mkdir()
    for name in ("0.png", "1.png"):
        Image.new("RGB", (8, 8)).save(clips / "frames" / name)
    before = (tmp_path / out).read_bytes()
    assert main(["data", "pairs", str(clips), "-o", str(tmp_path / out)]) == 2
    assert "would replace the input" in capsys.readouterr().err
    assert (tmp_path / out).read_bytes() == before


def test_exported_pictures_replace_no_clip(tmp_path, capsys):
    for side in ("source", "driving"):
        (tmp_path / side).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / side / "000000.png")
    assert main(["data", "pairs", str(tmp_path), "-o", str(tmp_path / "list.csv"), "--export", str(tmp_path)]) == 2
    assert "would replace the input" in capsys.readouterr().err
    assert not (tmp_path / "list.csv").exists()
