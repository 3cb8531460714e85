from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dagan.errors import UserError
from dagan.inference.video import VideoWriter
from dagan.provenance.identity import Identity, identity
from dagan.provenance.manifest import can_carry, read_manifest, sign
from dagan.provenance.recipe import SOURCE_TYPE, Recipe
from dagan.provenance.stamp import stamp
from dagan.provenance.tags import read_tags
from media import blocks, disk_full_after, write_video

RECIPE = Recipe("11" * 32, "22" * 32, "33" * 32, {"motion": "relative"})


@pytest.fixture
def signed(tmp_path) -> Path:
    written = write_video(tmp_path / "written.mp4", blocks(6))
    sign(written, tmp_path / "signed.mp4", RECIPE, identity(), "signed.mp4")
    return tmp_path / "signed.mp4"


def test_a_manifest_says_what_made_the_file(signed):
    found = read_manifest(signed)
    assert (found.state, found.tool.split()[0], found.source_type) == ("valid", "dagan", SOURCE_TYPE)
    assert found.recipe["source"] == RECIPE.source
    assert found.recipe["mark"] == RECIPE.payload.text
    assert found.recipe["settings"] == {"motion": "relative"}


def test_who_knows_the_root_trusts_the_signature(signed):
    assert read_manifest(signed, identity().root).state == "trusted"


def test_one_changed_bit_is_noticed(signed):
    content = bytearray(signed.read_bytes())
    content[-len(content) // 4] ^= 1
    signed.write_bytes(content)
    assert read_manifest(signed, identity().root).state == "invalid"


def test_a_file_without_manifest_and_one_that_cannot_have_one_have_none(tmp_path):
    assert read_manifest(write_video(tmp_path / "a.mp4", blocks(3))) is None
    assert read_manifest(write_video(tmp_path / "a.mkv", blocks(3))) is None
    assert [can_carry(Path(name)) for name in ("a.MP4", "a.mov", "a.mkv", "a.webm")] == [True, True, False, False]


def test_a_key_that_is_none_is_one_line(tmp_path):
    written = write_video(tmp_path / "written.mp4", blocks(3))
    broken = Identity(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", identity().chain)
    with pytest.raises(UserError, match="cannot be read"):
        sign(written, tmp_path / "signed.mp4", RECIPE, broken, "signed.mp4")


def test_the_writer_marks_tags_and_signs_in_the_end(tmp_path):
    frames = [np.full((64, 64, 3), 128, np.uint8)] * 4
    path = tmp_path / "out" / "a.mp4"
    path.parent.mkdir()
    made = stamp(RECIPE, (64, 64), identity=identity())
    with VideoWriter(path, Fraction(25), (64, 64), stamp=made) as writer:
        for frame in frames:
            writer.write(frame)
    assert read_manifest(path).state == "valid"
    assert read_tags(path).mark == RECIPE.payload.text
    assert [one.name for one in path.parent.iterdir()] == ["a.mp4"]


def test_what_cannot_be_signed_is_kept_with_a_warning(tmp_path):
    broken = Identity(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", identity().chain)
    made = stamp(RECIPE, (64, 64), identity=broken)
    with (
        pytest.warns(UserWarning, match="no manifest, only mark and tags"),
        VideoWriter(tmp_path / "a.mp4", Fraction(25), (64, 64), stamp=made) as writer,
    ):
        writer.write(np.zeros((64, 64, 3), np.uint8))
    assert read_tags(tmp_path / "a.mp4") is not None


def test_a_full_disk_is_no_reason_to_warn_of_a_manifest(tmp_path, recwarn):
    broken = Identity(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", identity().chain)
    made = stamp(RECIPE, (64, 64), identity=broken)
    written = tmp_path / "written"
    written.write_bytes(b"x" * 5000)
    with disk_full_after(1000), pytest.raises(OSError, match="File too large"):
        made.seal(written, tmp_path / "a.mp4", "a.mp4")
    assert not recwarn.list


def test_the_same_inputs_have_the_same_mark_and_others_another():
    again = Recipe("11" * 32, "22" * 32, "33" * 32, {"motion": "relative"})
    assert again.payload == RECIPE.payload
    assert again._replace(weights="44" * 32).payload.weights == 0x44
    drivers = {again._replace(driver=f"{number:064x}").payload.driver for number in range(40)}
    assert len(drivers) > 8
