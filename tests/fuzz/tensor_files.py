"""Safetensors files put together from a header that need not be right."""

import json
from typing import Any


def header_of(content: bytes) -> dict[str, Any]:
    """What the file says of its tensors, and its metadata."""
    length = int.from_bytes(content[:8], "little")
    header: dict[str, Any] = json.loads(content[8 : 8 + length])
    return header


def with_header(content: bytes, header: Any) -> bytes:
    """The file's tensors behind another header."""
    length = int.from_bytes(content[:8], "little")
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def with_metadata(content: bytes, **entries: str) -> bytes:
    """The file with these entries of its metadata in place of its own."""
    header = header_of(content)
    header["__metadata__"] |= entries
    return with_header(content, header)
