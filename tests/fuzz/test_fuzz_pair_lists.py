"""Pair lists as CSV."""

import pytest
from hypothesis import strategies as st
from mutations import damaged, fuzzed, takes_or_refuses

from dagan.data.pair_lists import read_pair_list

LIST = b"""source,driving,frame,source_sha256,driving_sha256
test/ann/0000001.png,test/ann/0000002.png,,,
/data/test/bob.mp4,C:\\data\\test\\ann,1,,
test/bob/0000003.png,test/bob/0000004.png,,00ff,ff00
"""
PLACES = ["test/ann", "ann/0000001.png", "bob.mp4", "bob/7", "/", "..", "", "~", "x" * 300, "é"]
CELLS = [*PLACES, "\0", "1e999", "nan", '"', "\r", "\u2028"]
ROWS = st.lists(st.lists(st.sampled_from(CELLS) | st.text(max_size=6), max_size=6).map(",".join), max_size=4)


@pytest.fixture
def read(tmp_path):
    (tmp_path / "root" / "test" / "ann").mkdir(parents=True)
    for name in ("ann/0000001.png", "ann/0000002.png", "bob.mp4"):
        (tmp_path / "root" / "test" / name).touch()

    def written(content):
        (tmp_path / "pairs.csv").write_bytes(content)
        takes_or_refuses(lambda: read_pair_list(tmp_path / "pairs.csv", tmp_path / "root").is_same_clip)

    return written


@fuzzed(damaged(LIST))
def test_any_bytes_are_a_pair_list_or_are_refused(read, content):
    read(content)


@fuzzed(ROWS)
def test_any_rows_are_taken_or_refused(read, rows):
    read("\n".join(["source,driving,frame", *rows]).encode("utf-8", "surrogatepass"))
