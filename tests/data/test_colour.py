"""Videos in other colours than BT.709 look as an ordinary one of the same scene does."""

from fractions import Fraction

import av
import numpy as np
import pytest

from dagan.data.colour import HLG, KNEE, PQ, Colours, rolled_off, to_srgb
from dagan.data.decoding import read_frames

TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])  # BT.2087
COLOURS = np.array([(200, 120, 100), (90, 60, 50), (60, 90, 160), (128, 128, 128), (20, 20, 20), (80, 150, 70)])
WHITE = np.array([255, 255, 255])


def linear(rgb: np.ndarray) -> np.ndarray:
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def sdr(light: np.ndarray) -> np.ndarray:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def pq(light: np.ndarray) -> np.ndarray:
    power = (light * 203 / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def hlg(light: np.ndarray) -> np.ndarray:
    display = light * 203 / 1000
    luminance = display @ [0.2627, 0.6780, 0.0593]
    scene = display / luminance[..., None].clip(1e-9) ** (0.2 / 1.2)
    log = 0.17883277 * np.log((12 * scene - 0.28466892).clip(1e-6)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), log)


def stripes(colours: np.ndarray) -> np.ndarray:
    """A picture `32 n*16 3` of colours side by side, in [0, 1]."""
    return np.repeat(np.repeat(colours[None] / 255, 32, 0), 16, 1)


def write(path, rgb, pixel_format, transfer, primaries, matrix, full=False):
    """Code values in [0, 1] as a video with these tags, lossless but for JPEG's formats."""
    frame = av.VideoFrame.from_ndarray((rgb * 65535).round().astype(np.uint16), format="rgb48le")
    frame = frame.reformat(format=pixel_format, dst_colorspace=matrix, dst_color_range=1 + full)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg" if pixel_format.startswith("yuvj") else "ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = *rgb.shape[:2], pixel_format
        for tagged in (frame, stream.codec_context):
            tagged.color_trc, tagged.color_primaries = transfer, primaries
            tagged.colorspace, tagged.color_range = matrix, 1 + full
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def seen(path) -> np.ndarray:
    """The colours in the middle of the stripes."""
    return next(read_frames(path))[16, 8::16].astype(int)


@pytest.mark.parametrize(("transfer", "code"), [(PQ, pq), (HLG, hlg)], ids=["PQ", "HLG"])
@pytest.mark.parametrize("primaries", [9, 2], ids=["BT.2020", "untagged"])
def test_an_hdr_scene_looks_as_in_sdr(tmp_path, transfer, code, primaries):
    rgb = code(linear(stripes(COLOURS)) @ TO_BT2020.T)
    path = write(tmp_path / "a.mkv", rgb, "yuv420p10le", transfer, primaries, 9)
    assert np.abs(seen(path) - COLOURS).max() <= 4
    white = code(linear(stripes(WHITE[None])) @ TO_BT2020.T)
    assert seen(write(tmp_path / "b.mkv", white, "yuv420p10le", transfer, primaries, 9)).min() >= 248


def test_highlights_of_hdr_are_rolled_off_in_order():
    light = np.linspace(0, 4, 200)
    rolled = rolled_off(light)
    assert np.array_equal(rolled[light < KNEE], light[light < KNEE])
    assert (np.diff(rolled) > 0)[light[1:] < 1.5].all()
    assert rolled.max() <= 1


def test_wide_gamut_without_hdr_keeps_its_grey_and_loses_its_paleness(tmp_path):
    rgb = sdr(linear(stripes(COLOURS)) @ TO_BT2020.T)
    assert np.abs(rgb[0, 8::16] * 255 - COLOURS).max() > 15
    path = write(tmp_path / "a.mkv", rgb, "yuv420p10le", 14, 9, 9)
    assert np.abs(seen(path) - COLOURS).max() <= 3


def test_display_p3_becomes_more_colourful_in_srgb():
    (red,) = to_srgb(np.array([[0.8, 0.3, 0.3]]), Colours(0, 12))
    assert red[0] > 0.8 > 0.3 > red[1]
    (grey,) = to_srgb(np.array([[0.5, 0.5, 0.5]]), Colours(0, 12))
    assert grey == pytest.approx([0.5] * 3, abs=1e-3)


LIMITED, FULL = ("yuv420p", "yuv420p10le", "yuv422p", "yuv444p10le"), ("yuv420p", "yuvj420p", "yuv444p")


@pytest.mark.parametrize(("pixel_format", "full"), [*((f, False) for f in LIMITED), *((f, True) for f in FULL)])
def test_every_way_to_keep_pixels_gives_the_same_colours(tmp_path, pixel_format, full):
    matrix = 5 if pixel_format.startswith("yuvj") else 1  # JPEG is always BT.601
    path = write(tmp_path / "a.mkv", stripes(COLOURS), pixel_format, 1, 1, matrix, full)
    assert np.abs(seen(path) - COLOURS).max() <= 3


@pytest.mark.parametrize("pixel_format", ["gray", "gray10le"])
def test_grey_video_is_grey(tmp_path, pixel_format):
    greys = np.array([(v, v, v) for v in (10, 80, 128, 200, 250)])
    path = write(tmp_path / "a.mkv", stripes(greys), pixel_format, 1, 1, 1, full=True)
    assert np.abs(seen(path) - greys).max() <= 2
