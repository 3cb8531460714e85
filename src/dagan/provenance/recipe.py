"""What made a video: tool, weights, source, driver and settings, as hashes; no names of files or people."""

import json
from collections.abc import Mapping
from hashlib import file_digest, sha256
from pathlib import Path
from typing import NamedTuple

from dagan import __version__
from dagan.provenance.payload import TOOL, Payload

TOOL_NAME = "dagan"
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"  # the IPTC's word for it


class Recipe(NamedTuple):
    """SHA-256 (hexadecimal) of the model file, the source picture and the driver, and the settings that matter."""

    weights: str
    source: str
    driver: str
    settings: Mapping[str, str]
    version: str = __version__

    @property
    def payload(self) -> Payload:
        """What of the recipe fits into the mark."""
        rest = self.driver + json.dumps(dict(self.settings), sort_keys=True)
        driver = sha256(rest.encode()).hexdigest()
        return Payload(TOOL, first_byte(self.weights), first_byte(self.source), int(driver[0], 16))


def first_byte(digest: str) -> int:
    """The part of a hash that the mark carries."""
    return int(digest[:2], 16)


def hash_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return file_digest(file, "sha256").hexdigest()
