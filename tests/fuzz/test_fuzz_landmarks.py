"""Landmark tracks (npz)."""

import io
import zipfile

import numpy as np
import pytest
from hypothesis import strategies as st
from mutations import FIELDS, damaged, fuzzed, takes_or_refuses

from dagan.data.landmarks import LandmarkTracks, read_relief
from parts import face_clips

CLIPS = face_clips(1, num_frames=4, size=8)
NAME = CLIPS[0].clip.name
FRAMES = 3


def track(compress=False, **changes):
    arrays = {
        "landmarks": np.zeros((FRAMES, 478, 2), np.float16),
        "farther": np.zeros((FRAMES, 478), np.float16),
        "found": np.array([True, False, True]),
        "blendshapes": np.zeros((FRAMES, 52), np.float16),
    }
    file = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(file, **(arrays | changes))
    return file.getvalue()


def with_part(name, content):
    """The track with other bytes for one of its arrays, and check sums that are right."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(track())) as old, zipfile.ZipFile(file, "w") as new:
        for part in old.namelist():
            new.writestr(part, content if part == f"{name}.npy" else old.read(part))
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


NAMES = st.sampled_from(["landmarks", "farther", "found", "blendshapes"])
SHAPES = st.lists(st.integers(0, 4), max_size=3).map(tuple)
TYPES = st.sampled_from(["f2", "f8", "?", "i4", "u1", "c8", "S3", "U2", "M8[s]", "f2,i4", "V5"])
HEADERS = ["(9999999999,)", "(-1,)", "(3, 478, 2", "True", "'O'", "'|O8'", "1e9", "(" * 50, "{}", "\0", "9" * 5000]


def header_changed(part, old, new):
    """An array's bytes with a text of its header replaced, its length kept right."""
    content = npy(part)
    header = content[10 : 10 + int.from_bytes(content[8:10], "little")]
    changed = header.replace(old, new.encode())
    return content[:8] + len(changed).to_bytes(2, "little") + changed + content[10 + len(header) :]


@pytest.fixture
def read(tmp_path):
    def written(content):
        (tmp_path / f"{NAME}.npz").write_bytes(content)
        takes_or_refuses(lambda: LandmarkTracks(CLIPS, [tmp_path]))
        takes_or_refuses(lambda: read_relief(NAME, [tmp_path]))

    return written


@fuzzed(damaged(track()) | damaged(track(compress=True)), share=2)
def test_any_bytes_are_a_track_or_are_refused(read, content):
    read(content)


@fuzzed(st.tuples(NAMES, SHAPES, TYPES))
def test_any_arrays_are_a_track_or_are_refused(read, change):
    name, shape, kind = change
    read(track(**{name: np.zeros(shape, kind)}))


@fuzzed(st.tuples(NAMES, damaged(npy(np.zeros(FRAMES, bool))) | st.sampled_from(FIELDS)))
def test_any_bytes_of_an_array_are_taken_or_refused(read, change):
    read(with_part(*change))


@fuzzed(st.tuples(NAMES, st.sampled_from([b"(3,)", b"'|b1'", b"False", b"{"]), st.sampled_from(HEADERS)))
def test_any_header_of_an_array_is_taken_or_refused(read, change):
    name, old, new = change
    read(with_part(name, header_changed(np.zeros(FRAMES, bool), old, new)))
