"""Wide and HDR pictures whose files state their colours by number, without a profile."""

import io
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from dagan.data.coded_colours import coded_colours
from dagan.data.colour import PLAIN, Colours
from dagan.data.pictures import read_image
from dagan.errors import UserError

# Display P3 of one white point with sRGB (W3C, CSS Color 4): light of sRGB as light of P3.
TO_P3 = np.array([[0.8224621, 0.1775380, 0.0], [0.0331941, 0.9668058, 0.0], [0.0170827, 0.0723974, 0.9105199]])
P3 = (12, 13)


@pytest.fixture
def colours() -> np.ndarray:
    """Patches of 16 x 16 of one colour each, as sRGB has them."""
    return np.kron(np.random.default_rng(0).integers(20, 236, (4, 4, 3)), np.ones((16, 16, 1))).astype(np.uint8)


@pytest.fixture
def in_p3(colours) -> np.ndarray:
    code = colours / 255
    light = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4) @ TO_P3.T
    return (
        (255 * np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)).round().astype(np.uint8)
    )


def png_with(chunk: bytes, picture: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", **options)
    content = file.getvalue()
    added = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return content[:33] + added + content[33:]


def avif_with(numbers: tuple[int, int], picture: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "AVIF", quality=100, subsampling="4:4:4")
    content = file.getvalue()
    place = content.index(b"colrnclx") + 8
    return content[:place] + struct.pack(">HH", *numbers) + content[place + 4 :]


def differ(content: bytes, picture: np.ndarray) -> float:
    return float(np.abs(read_image("a", io.BytesIO(content)).astype(int) - picture).mean())


def test_a_png_that_states_p3_is_shown_as_it_looks(colours, in_p3):
    assert differ(png_with(b"gAMA" + struct.pack(">I", 45455), in_p3), colours) > 3
    assert differ(png_with(b"cICP" + bytes([*P3, 0, 1]), in_p3), colours) < 0.5
    profile = Image.new("RGB", (1, 1)).info.get("icc_profile", b"nonsense")
    assert differ(png_with(b"cICP" + bytes([*P3, 0, 1]), in_p3, icc_profile=profile), colours) < 0.5  # cICP comes first


def test_an_avif_that_states_p3_is_shown_as_it_looks(colours, in_p3):
    assert differ(avif_with((1, 13), in_p3), colours) > 3
    assert differ(avif_with(P3, in_p3), colours) < 1.5


def test_what_is_srgb_or_unknown_is_left_alone(colours):
    for numbers in ((1, 13), (2, 2), (6, 6), (99, 200)):
        assert differ(png_with(b"cICP" + bytes([*numbers, 0, 1]), colours), colours) == 0


def test_alpha_lies_on_white_before_colours_are_converted(colours):
    clear = np.dstack([colours, np.zeros(colours.shape[:2], np.uint8)])
    assert (read_image("a", io.BytesIO(png_with(b"cICP" + bytes([9, 13, 0, 1]), clear))) == 255).all()


def test_hdr_without_primaries_is_bt2020():
    assert coded_colours(io.BytesIO(png_with(b"cICP\x02\x10\0\1", np.zeros((4, 4, 3), np.uint8)))) == Colours(16, 9)


@pytest.mark.parametrize("cut", range(0, 400, 7))
def test_a_damaged_head_states_nothing_or_what_it_did(cut, in_p3):
    whole = avif_with(P3, in_p3)
    for content in (whole[:cut], whole[:cut] + b"\0" * 40 + whole[cut + 40 :], whole[:cut] + b"\xff" * 8 + whole[cut:]):
        assert coded_colours(io.BytesIO(content)) in (PLAIN, Colours(0, 12))
        with suppress(UserError):
            read_image("a", io.BytesIO(content))
