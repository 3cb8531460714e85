import pytest
from PIL import Image

from dagan.errors import UserError
from dagan.preparation.archives import read_contents
from dagan.preparation.cutting import Observers
from dagan.preparation.exclusions import exclude, read_exclusions
from dagan.preparation.settings import Settings
from dagan.preparation.units import find_units
from dagan.preparation.work import Preparer
from drawn_faces import scene, with_person
from drawn_raw import DrawnDetector, DrawnFace, DrawnIdentity, drawn_raw

SETTINGS = Settings(min_seconds=0.4, min_face=20, min_sharpness=0.0, max_shake=100.0, size=64)


def test_a_photo_takes_its_person_out_of_every_archive(tmp_path):
    preparer = Preparer(tmp_path, SETTINGS, DrawnDetector(), Observers(DrawnFace(), DrawnIdentity()))
    ann, bob = (100, 60, 40, "ann"), (230, 60, 40, "bob")
    raws = [drawn_raw(tmp_path / "both.mp4", [(16, 0, [ann, bob])]), drawn_raw(tmp_path / "ann.mp4", [(16, 3, [ann])])]
    tars = [tmp_path / f"{preparer(unit).key}.tar" for unit in find_units(raws)]
    Image.fromarray(with_person(scene(), 100, 60)).save(tmp_path / "photo.png")
    (tmp_path / "out.txt").write_text("photo.png\n")
    exclusions = read_exclusions(tmp_path / "out.txt", DrawnIdentity())
    assert exclude(tars, exclusions) == 2
    kept = [row for tar in tars for row in read_contents(tar).rows if not row.reason]
    assert [(row.source, row.x > 150) for row in kept] == [("both.mp4", True)]
    assert exclude(tars, exclusions) == 0


def test_photos_that_cannot_be_used_are_refused(tmp_path):
    Image.fromarray(scene()).save(tmp_path / "room.png")
    (tmp_path / "out.txt").write_text("room.png\n")
    with pytest.raises(UserError, match="no face"):
        read_exclusions(tmp_path / "out.txt", DrawnIdentity())
    with pytest.raises(UserError, match="nobody is recognised"):
        read_exclusions(tmp_path / "out.txt", None)
