"""People who asked to be left out: their clips go from the archives, and so from everything made of them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dagan.data.pictures import IMAGE_SUFFIXES, read_image
from dagan.errors import UserError
from dagan.observers.faces import IdentityObserver
from dagan.preparation.archives import read_contents, without
from dagan.preparation.people import SAME, name_people
from dagan.preparation.rows import Row


class Exclusions(NamedTuple):
    """What a list names: people, clips or raw files, and photos of people by their embeddings."""

    names: frozenset[str]
    faces: tuple[Float[np.ndarray, " d"], ...]


def read_exclusions(path: Path, identity: IdentityObserver | None) -> Exclusions:
    """A list with one entry a line: a person, a clip or a raw file as the manifest calls it, or the path of a photo.

    Raises:
        UserError: no such list, a photo that cannot be read or shows no face, or photos where nobody is recognised.
    """
    if not path.is_file():
        raise UserError(f"no such list: {path}")
    entries = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    entries = [entry for entry in entries if entry and not entry.startswith("#")]
    photos = [entry for entry in entries if Path(entry).suffix.lower() in IMAGE_SUFFIXES]
    faces = []
    for photo in photos:
        place = Path(photo) if Path(photo).is_absolute() else path.parent / photo
        if identity is None:
            raise UserError(f"{path} has a photo ({photo}), and with --people files nobody is recognised")
        embedding = identity.identity(read_image(place))
        if embedding is None:
            raise UserError(f"no face in {place}; give a photo that shows the person's face")
        faces.append(embedding)
    return Exclusions(frozenset(entries) - frozenset(photos), tuple(faces))


def exclude(archives: Sequence[Path], exclusions: Exclusions) -> int:
    """Takes clips out of archives: video, landmarks, picture and embedding; their rows stay, with the reason. Returns
    how many."""
    rows: list[Row] = []
    embeddings: dict[str, Float[np.ndarray, " d"]] = {}
    for path in archives:
        contents = read_contents(path)
        rows += contents.rows if contents is not None else []
        embeddings |= contents.embeddings if contents is not None else {}
    kept = [row for row in rows if not row.reason]
    people = name_people(kept, embeddings)
    alike = {
        people[name]
        for name, embedding in embeddings.items()
        if name in people and any(float(embedding @ face) >= SAME for face in exclusions.faces)
    }

    def is_out(row: Row) -> bool:
        names = {row.name, row.source, row.person, people.get(row.name, "")}
        return row.reason != "excluded" and bool(names & exclusions.names or people.get(row.name) in alike)

    out = [row for row in rows if is_out(row)]
    sources = {row.source for row in out}
    for path in archives:
        contents = read_contents(path)
        if contents is not None and any(row.source in sources for row in contents.rows):
            without(path, is_out, _nameless)
    return len(out)


def _nameless(row: Row) -> Row:
    """What stays of the row of a clip that was taken out."""
    return replace(row, reason="excluded", person="", sha256="", detail="", file="", split="")
