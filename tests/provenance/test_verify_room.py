from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from changed_photo import photo
from dagan.images import Crop
from dagan.inference.video import VideoWriter
from dagan.provenance.manifest import Manifest
from dagan.provenance.payload import Payload
from dagan.provenance.reading import Reading
from dagan.provenance.recipe import Recipe
from dagan.provenance.stamp import stamp
from dagan.provenance.verify import Verdict, fit, verdict

RECIPE = Recipe("ab" * 32, "cd" * 32, "ef" * 32, {})
READ = Reading(RECIPE.payload, 1.0, 1e-6, None, 1.0, 1)


def written(path: Path, square: Crop) -> Path:
    picture = np.ascontiguousarray(photo()[:192, :256])
    with VideoWriter(path, Fraction(25), (256, 192), stamp=stamp(RECIPE, (256, 192), square)) as writer:
        for _ in range(6):
            writer.write(picture)
    return path


@pytest.mark.parametrize("square", [Crop(30, 20, 160), Crop(140, -30, 150)])
def test_the_tags_say_where_in_a_whole_photo_the_mark_is(tmp_path, square):
    found = verdict(written(tmp_path / "a.mp4", square))
    assert found.finding == "marked"
    assert found.mark.payload == RECIPE.payload


def test_tags_alone_prove_nothing(tmp_path, monkeypatch):
    path = written(tmp_path / "a.mp4", Crop(0, 0, 8))  # too small to be marked
    monkeypatch.setattr("dagan.provenance.verify.searched", lambda *_: [])
    assert verdict(path).finding == "tagged"


def test_a_hash_is_compared_with_the_manifest_or_else_with_the_first_byte_in_the_mark():
    stated = Manifest("valid", None, "dagan 1", None, RECIPE._asdict())
    signed, marked = Verdict("signed", stated, None, READ), Verdict("marked", None, None, READ)
    assert fit(signed, "source", RECIPE.source) == "same"
    assert fit(signed, "source", "cd" + "00" * 31) == "other"
    assert fit(marked, "source", "cd" + "00" * 31) == "agrees"
    assert fit(marked, "weights", "00" * 32) == "other"
    assert fit(Verdict("nothing", None, None, None), "weights", RECIPE.weights) == "unknown"


def test_a_manifest_that_does_not_fit_its_file_is_not_believed():
    broken = Manifest("invalid", None, "dagan 1", None, RECIPE._asdict())
    assert fit(Verdict("changed", broken, None, None), "source", RECIPE.source) == "unknown"
    assert Payload(*READ.payload).source == 0xCD
