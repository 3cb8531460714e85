"""Shards: tar files, and the index beside each."""

import io
import json
import tarfile

import numpy as np
import pytest
from hypothesis import strategies as st
from mutations import FIELDS, changed, damaged, fuzzed, takes_or_refuses
from PIL import Image

from dagan.data.shards import index_tar, open_shards, read_index, write_index

BLOCK = 512
SIZES = [b"\x80" + b"\x00" * 3 + b"\x7f" * 8, b"\x80" + b"\xff" * 11, b"\xff" * 12, b"77777777777\0", b"-0000000001\0"]
KINDS = [bytes([kind]) for kind in b"01257xgLKSV\0"]
VIDEO = {"times": [0, 1, 2], "key_times": [0], "counted": False, "damage": None}


def picture():
    file = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(file, "JPEG")
    return file.getvalue()


def packed():
    """Two pictures of one clip, and a video that is none."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in (("ann/0.jpg", picture()), ("ann/1.jpg", picture()), ("é" * 60 + ".mp4", b"no video")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


TAR = packed()


def with_field(block, start, content):
    """The tar with other bytes in a block of it, whose check sum is made right as in a header."""
    at = (block * BLOCK) % len(TAR)
    head = bytearray(TAR[at : at + BLOCK])
    head[start : start + len(content)] = content
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % (sum(head) % 0o1000000)
    return TAR[:at] + bytes(head[:BLOCK]) + TAR[at + BLOCK :]


HEADERS = st.one_of(
    st.tuples(st.integers(0, 12), st.just(124), st.sampled_from(SIZES)),
    st.tuples(st.integers(0, 12), st.just(156), st.sampled_from(KINDS)),
    st.tuples(st.integers(0, 12), st.integers(0, 500), st.binary(max_size=12) | st.sampled_from(FIELDS)),
)


@pytest.fixture
def shard(tmp_path):
    path = tmp_path / "shard-000000.tar"
    path.write_bytes(TAR)
    return path


@fuzzed(damaged(TAR) | HEADERS.map(lambda header: with_field(*header)), share=2)
def test_any_bytes_are_a_tar_or_are_refused(shard, content):
    shard.write_bytes(content)
    takes_or_refuses(lambda: index_tar(shard))


@fuzzed(st.data(), share=2)
def test_any_index_of_a_shard_is_taken_or_refused(shard, capsys, data):
    index = shard.with_suffix(".json")
    write_index(shard, index_tar(shard), index)
    plain = json.loads(index.read_text())
    plain["clips"][1] |= {"members": plain["clips"][0]["members"], "video": VIDEO}
    index.write_text(json.dumps(data.draw(changed(plain))))
    takes_or_refuses(lambda: read_index(shard))
    takes_or_refuses(lambda: [clip.frames[0] for clip in open_shards(shard.parent, shard.parent / "cache", 8)])


@fuzzed(st.data())
def test_any_bytes_of_an_index_are_taken_or_refused(shard, data):
    index = shard.with_suffix(".json")
    write_index(shard, index_tar(shard), index)
    index.write_bytes(data.draw(damaged(index.read_bytes())))
    takes_or_refuses(lambda: read_index(shard))
