import io
import struct
import warnings

import numpy as np
import pytest
from PIL import Image, ImageCms

from dagan.data.pictures import read_image
from media import blocks

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
GREEN = (60, 180, 70)


def icc(space: bytes, primaries: tuple[tuple[float, ...], ...], gamma: float) -> bytes:
    """A small ICC profile (version 2): `RGB ` with primaries as XYZ at D50, or `GRAY` without; a power as its curve."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    curve = b"curv\0\0\0\0" + struct.pack(">IH2x", 1, round(gamma * 256))
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + b"\0" * 78,
        b"wtpt": b"XYZ \0\0\0\0" + b"".join(map(fixed, (0.9642, 1, 0.8249))),
    }
    if primaries:
        for name, primary in zip(b"rgb", primaries, strict=True):
            tags[bytes([name]) + b"XYZ"] = b"XYZ \0\0\0\0" + b"".join(map(fixed, primary))
            tags[bytes([name]) + b"TRC"] = curve
    else:
        tags[b"kTRC"] = curve
    table, data, offset = b"", b"", 132 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">II", offset + len(data), len(value))
        data += value + b"\0" * (-len(value) % 4)
    head = struct.pack(">I4sI4s4s4s", offset + len(data), b"none", 0x02100000, b"mntr", space, b"XYZ ")
    head = head.ljust(36, b"\0") + b"acsp".ljust(32, b"\0") + b"".join(map(fixed, (0.9642, 1, 0.8249)))
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


WIDE = icc(b"RGB ", ADOBE_RGB, 2.19921875)


def in_wide(picture: Image.Image) -> Image.Image:
    """The same colours, in numbers of the wide profile."""
    wide = ImageCms.ImageCmsProfile(io.BytesIO(WIDE))
    return ImageCms.profileToProfile(
        picture, ImageCms.createProfile("sRGB"), wide, ImageCms.Intent.RELATIVE_COLORIMETRIC
    )


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif"])
def test_a_wide_profile_is_converted_to_srgb(tmp_path, suffix):
    picture = Image.new("RGB", (32, 32), GREEN)
    wide = in_wide(picture)
    assert np.abs(np.asarray(wide, int) - np.asarray(picture, int)).max() > 15  # what ignoring the profile would give
    wide.save(tmp_path / f"a.{suffix}", icc_profile=WIDE, quality=98)
    assert np.abs(read_image(tmp_path / f"a.{suffix}").astype(int) - GREEN).max() <= 4


def test_a_profile_counts_with_transparency_and_palettes_too(tmp_path):
    wide = in_wide(Image.new("RGB", (8, 8), GREEN))
    wide.quantize().save(tmp_path / "palette.png", icc_profile=WIDE)
    wide.putalpha(255)
    wide.putpixel((0, 0), (0, 0, 0, 0))
    wide.save(tmp_path / "clear.png", icc_profile=WIDE)
    for name in ("palette", "clear"):
        assert np.abs(read_image(tmp_path / f"{name}.png")[4, 4].astype(int) - GREEN).max() <= 3, name
    assert read_image(tmp_path / "clear.png")[0, 0].tolist() == [255, 255, 255]


def test_a_grey_profile_is_converted(tmp_path):
    Image.new("L", (8, 8), 128).save(tmp_path / "a.png", icc_profile=icc(b"GRAY", (), 1.0))
    assert read_image(tmp_path / "a.png")[0, 0].tolist() == pytest.approx([188] * 3, abs=2)  # linear half in sRGB


def test_srgb_by_any_name_changes_no_pixel(tmp_path):
    pixels = blocks(1)[0]
    Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=SRGB)
    assert np.array_equal(read_image(tmp_path / "a.png"), pixels)


@pytest.mark.parametrize("profile", [b"nonsense", WIDE[:200], icc(b"GRAY", (), 1.0)], ids=["noise", "cut", "of grey"])
def test_a_broken_profile_is_ignored_with_a_warning(tmp_path, profile):
    pixels = blocks(1)[0]
    Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=profile)
    with pytest.warns(UserWarning, match=r"colour profile of .*a\.png"):
        assert np.array_equal(read_image(tmp_path / "a.png"), pixels)


def test_a_cmyk_photo_with_a_profile_of_another_kind_is_still_read(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", icc_profile=WIDE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert read_image(tmp_path / "a.jpg")[0, 0, 0] > 200
