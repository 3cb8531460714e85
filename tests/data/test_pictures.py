import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dagan.data.pictures import is_picture, read_image
from dagan.errors import UserError
from media import blocks, truncate, write_video

# Drawn, 64x48, stored on its side. As phones do, it says so twice: to HEIF readers, and in its EXIF orientation.
HEIC = Path(__file__).with_name("drawn.heic")
TURNS = dict(zip(range(2, 9), (0, 3, 1, 5, 4, 6, 2), strict=True))  # EXIF orientation to Image.Transpose


def test_images_of_every_kind_become_rgb(tmp_path):
    grey16 = np.full((8, 8), 40000, np.uint16)
    Image.fromarray(grey16).save(tmp_path / "grey16.png")
    Image.fromarray(np.full((8, 8), 99, np.uint8)).save(tmp_path / "grey.png")
    Image.fromarray(np.full((8, 8, 4), (10, 20, 30, 0), np.uint8)).save(tmp_path / "clear.png")
    Image.fromarray(np.full((8, 8, 4), (0, 0, 0, 128), np.uint8)).save(tmp_path / "half.png")
    expected = {"grey16": (156,) * 3, "grey": (99,) * 3, "clear": (255,) * 3, "half": (127,) * 3}
    for name, colour in expected.items():
        image = read_image(tmp_path / f"{name}.png")
        assert image.shape == (8, 8, 3)
        assert image.dtype == np.uint8
        assert np.abs(image[0, 0].astype(int) - colour).max() <= 1, name


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif"])
def test_an_image_is_turned_and_mirrored_by_its_exif_orientation(tmp_path, suffix):
    stored = Image.fromarray(blocks(1, 40, 64)[0])
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored.save(tmp_path / f"a.{suffix}", exif=exif, quality=95)
        shown = stored.transpose(Image.Transpose(TURNS[orientation])) if orientation > 1 else stored
        image = read_image(tmp_path / f"a.{suffix}").astype(int)
        assert image.shape == np.shape(shown)
        assert np.abs(image - np.asarray(shown)).mean() < 12, orientation


def test_a_heic_photo_is_read_and_turned_once():
    image = read_image(HEIC)
    assert image.shape == (64, 48, 3)
    corners = image[[5, 5, -5, -5], [5, -5, 5, -5]].astype(int)
    assert np.abs(corners - [(200, 30, 40), (250, 250, 250), (30, 60, 210), (200, 30, 40)]).max() < 4
    assert is_picture(HEIC)


def test_a_heic_photo_without_its_reader_names_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(UserError, match=r"pip install pi-heif"):
        read_image(HEIC)
    assert is_picture(HEIC)


def test_what_is_not_an_image_is_refused(tmp_path):
    (tmp_path / "text.png").write_text("no")
    Image.new("RGB", (200, 200)).save(tmp_path / "cut.png")
    truncate(tmp_path / "cut.png")
    for path in (tmp_path / "text.png", tmp_path / "cut.png", tmp_path / "missing.png", tmp_path):
        with pytest.raises(UserError, match="image") as caught:
            read_image(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n", b"8BPS\0\1"])
def test_postscript_and_other_formats_are_not_opened_whatever_their_name(tmp_path, content):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content + b"\0" * 64)
    with pytest.raises(UserError, match=r"not an image: .*photo\.jpg; give a PNG"):
        read_image(path)
    assert not is_picture(path)


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path):
    for side in (10_000, 20_000):  # where Pillow would warn, and where it would raise
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        chunk = b"IHDR" + header
        content = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header)) + chunk + struct.pack(">I", zlib.crc32(chunk))
        (tmp_path / "bomb.png").write_bytes(content + struct.pack(">I", 9) + b"IDAT")
        with pytest.raises(UserError, match="too large"):
            read_image(tmp_path / "bomb.png")


def test_what_a_file_is_its_content_says(tmp_path):
    frames = [Image.fromarray(frame) for frame in blocks(3)]
    frames[0].save(tmp_path / "photo.mp4", "PNG")
    video = write_video(tmp_path / "a.mp4", blocks(3)).rename(tmp_path / "video.png")
    for suffix in ("gif", "webp", "png"):
        frames[0].save(tmp_path / f"moving.{suffix}", save_all=True, append_images=frames[1:])
        assert is_picture(tmp_path / f"moving.{suffix}") == (suffix == "webp"), suffix  # FFmpeg reads no moving WebP
    frames[0].save(tmp_path / "pages.tif", save_all=True, append_images=frames[1:])
    assert is_picture(tmp_path / "photo.mp4")
    assert is_picture(tmp_path / "pages.tif")
    assert not is_picture(video)
    with pytest.raises(UserError, match="no such file"):
        is_picture(tmp_path / "missing.png")


def test_the_first_frame_of_an_animated_picture_is_the_photo(tmp_path):
    frames = blocks(3)
    first, *others = map(Image.fromarray, frames)
    for suffix in ("gif", "webp", "png"):
        first.save(tmp_path / f"a.{suffix}", save_all=True, append_images=others, lossless=True)
        assert np.array_equal(read_image(tmp_path / f"a.{suffix}"), frames[0]), suffix


def test_a_picture_can_lie_in_memory():
    assert read_image("memory", io.BytesIO(HEIC.read_bytes())).shape == (64, 48, 3)
