"""All that makes a video recognisable, in the order in which it is written: label, mark, tags, signed manifest."""

import shutil
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dagan.errors import UserError, reason_of
from dagan.files import temporary_beside, written_whole
from dagan.images import QUALITY, Crop
from dagan.provenance.identity import Identity
from dagan.provenance.label import Label
from dagan.provenance.manifest import can_carry, sign
from dagan.provenance.recipe import Recipe
from dagan.provenance.tags import tags_for
from dagan.provenance.watermark import Watermark

Picture = UInt8[np.ndarray, "h w 3"]


class Stamp(NamedTuple):
    """What a writer of videos calls: `apply` for each picture, `tags` for the container, `seal` for the closed file.

    `identity` None: no manifest is written.
    """

    recipe: Recipe
    mark: Watermark
    size: tuple[int, int]  # (width, height) of the pictures
    identity: Identity | None = None
    label: Label | None = None

    @property
    def tags(self) -> dict[str, str]:
        return tags_for(self.recipe, self.mark.square, self.size)

    def apply(self, picture: Picture) -> Picture:
        """The next picture of the video, labelled and marked."""
        return self.mark.apply(picture if self.label is None else self.label.apply(picture))

    def signs(self, path: Path) -> bool:
        """Whether a file of this name gets a manifest."""
        return self.identity is not None and can_carry(path)

    def seal(self, written: Path, target: Path, name: str) -> None:
        """The last step: writes to `target` the closed file `written` with its manifest. What cannot be signed is kept
        as it is, with a warning: hours of work may be in it."""
        assert self.identity is not None
        try:
            sign(written, target, self.recipe, self.identity, name)
        except (UserError, ImportError) as error:
            shutil.copyfile(written, target)  # first: on a full disk this is the error, and there is nothing to warn of
            warnings.warn(f"{name} carries no manifest, only mark and tags: {reason_of(error)}", stacklevel=2)


def stamp(
    recipe: Recipe,
    size: tuple[int, int],
    square: Crop | None = None,
    identity: Identity | None = None,
    label: str | None = None,
) -> Stamp:
    """The stamp of one video of pictures of `size` (width, height). `square`: where the mark lies; None: everywhere."""
    return Stamp(recipe, Watermark(recipe.payload, square), size, identity, Label(label, size) if label else None)


def write_picture(picture: Picture, path: Path, stamp: Stamp | None) -> None:
    """Writes a still, with all that its stamp asks for; whole or not at all."""
    with written_whole(path) as partial:
        marked = Image.fromarray(np.ascontiguousarray(picture if stamp is None else stamp.apply(picture)))
        kind = Image.registered_extensions()[path.suffix.lower()]
        if stamp is None or not stamp.signs(path):
            marked.save(partial, kind, quality=QUALITY)
            return
        with temporary_beside(path) as unsigned:
            marked.save(unsigned, kind, quality=QUALITY)
            stamp.seal(unsigned, partial, path.name)
