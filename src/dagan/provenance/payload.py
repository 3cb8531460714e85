"""What the mark says: 24 bits (tool, weights, source, driver) with 24 of checksum."""

from hashlib import sha256
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

TOOL = 0xD  # this package, first format of the mark
WIDTHS = (4, 8, 8, 4)  # bits of the fields
CHECKSUM = 24  # bits
LENGTH = sum(WIDTHS) + CHECKSUM


class Payload(NamedTuple):
    """Which tool (4 bits) made a picture; the first bits of the hashes of its weights (8), of its source picture (8),
    and of its driver and settings (4). They can rule a recipe out, and cannot prove it: the manifest has the hashes."""

    tool: int
    weights: int
    source: int
    driver: int

    @property
    def text(self) -> str:
        """Six hexadecimal digits."""
        return f"{_number(self):06x}"

    def bits(self, salt: bytes) -> UInt8[np.ndarray, " 48"]:
        """With the checksum, which `salt` changes."""
        number = _number(self) << CHECKSUM | _checksum(_number(self), salt)
        return np.array([number >> place & 1 for place in reversed(range(LENGTH))], np.uint8)


def payload_of(text: str) -> Payload:
    """The payload of six hexadecimal digits."""
    return _split(int(text, 16))


def checked(bits: UInt8[np.ndarray, " 48"], salt: bytes) -> Payload | None:
    """The payload of bits, None if their checksum is wrong."""
    number = int("".join(map(str, bits.tolist())), 2)
    said, checksum = number >> CHECKSUM, number & ((1 << CHECKSUM) - 1)
    return _split(said) if _checksum(said, salt) == checksum else None


def _number(payload: Payload) -> int:
    number = 0
    for value, width in zip(payload, WIDTHS, strict=True):
        number = number << width | value
    return number


def _split(number: int) -> Payload:
    values = []
    for width in reversed(WIDTHS):
        values.append(number & ((1 << width) - 1))
        number >>= width
    return Payload(*reversed(values))


def _checksum(number: int, salt: bytes) -> int:
    return int.from_bytes(sha256(salt + number.to_bytes(3, "big")).digest()[: CHECKSUM // 8], "big")
