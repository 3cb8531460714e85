"""Video colours as sRGB: an HDR or wide-gamut frame is mapped to what an ordinary screen shows of it."""

import tempfile
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, UInt8

if TYPE_CHECKING:
    from av import VideoFrame
    from av.filter import Graph
    from av.video.reformatter import VideoReformatter

# Numbers of ITU-T H.273, which files and FFmpeg share.
PQ, HLG = 16, 18  # transfer: SMPTE ST 2084; ARIB STD-B67 (BT.2100)
BT2020 = 9  # primaries, and the matrix with non-constant luminance
UNSPECIFIED = 2
D65 = (0.3127, 0.3290)
BT709 = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))  # sRGB's, too
DISPLAY_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
WIDE = {BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)), 11: DISPLAY_P3, 12: DISPLAY_P3}  # by primaries

WHITE = 203.0  # nits of diffuse white in HDR (BT.2408): what SDR shows as white
HLG_PEAK, HLG_GAMMA = 1000.0, 1.2  # the reference display of BT.2100
KNEE = 0.95  # of diffuse white: below, light is kept exactly; above, highlights are rolled off towards 1
TABLE_SIDE = 49  # of the table that FFmpeg interpolates
DEEP = "gbrp16le"  # FFmpeg looks up planes of 16 bits three times as fast as those of 10
HIGH_BYTE = 1


class ToRGB(Protocol):
    """How the frames of one kind of colours become sRGB at a size (width, height)."""

    def __call__(self, frame: "VideoFrame", size: tuple[int, int], threads: int) -> UInt8[np.ndarray, "h w 3"]: ...


class Colours(NamedTuple):
    """Transfer and primaries by H.273."""

    transfer: int
    primaries: int

    @staticmethod
    def of(frame: "VideoFrame") -> "Colours":
        """A frame's colours."""
        return Colours.stated(int(frame.color_primaries), int(frame.color_trc))

    @staticmethod
    def stated(primaries: int, transfer: int) -> "Colours":
        """What needs no conversion is `PLAIN`; HDR without primaries is taken to be BT.2020."""
        is_hdr = transfer in (PQ, HLG)
        if is_hdr and primaries == UNSPECIFIED:
            primaries = BT2020
        return Colours(transfer if is_hdr else 0, primaries if primaries in WIDE else 0)


PLAIN = Colours(0, 0)


class FrameColour:
    """RGB of any frame of a video, by the matrix it is tagged with (BT.601 if untagged, as FFmpeg does)."""

    def __init__(self) -> None:
        self._ways: dict[Colours, ToRGB] = {}

    def __call__(self, frame: "VideoFrame", size: tuple[int, int], threads: int) -> UInt8[np.ndarray, "h w 3"]:
        """`size` is (width, height). 0 `threads`: all cores."""
        colours = Colours.of(frame)
        way = self._ways.get(colours)
        if way is None:
            way = self._ways[colours] = PlainToRGB() if colours == PLAIN else WideToRGB(colours)
        return way(frame, size, threads)


class PlainToRGB:
    """BT.709, BT.601 and sRGB: the matrix only. One converter for all frames saves a third of the time."""

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        self._converter = VideoReformatter()

    def __call__(self, frame: "VideoFrame", size: tuple[int, int], threads: int) -> UInt8[np.ndarray, "h w 3"]:
        return converted(self._converter, frame, size, "rgb24", threads).to_ndarray()


class WideToRGB:
    """HDR and wide gamut: RGB at 16 bits, then a table of three dimensions that FFmpeg interpolates."""

    def __init__(self, colours: Colours) -> None:
        from av.video.reformatter import VideoReformatter

        self._colours = colours
        self._converter = VideoReformatter()
        self._graphs: dict[tuple[int, int], Graph] = {}

    def __call__(self, frame: "VideoFrame", size: tuple[int, int], threads: int) -> UInt8[np.ndarray, "h w 3"]:
        assumed = BT2020 if frame.colorspace == UNSPECIFIED and self._colours.primaries == BT2020 else None
        deep = converted(self._converter, frame, size, DEEP, threads, assumed)
        if size not in self._graphs:
            self._graphs = {size: table_graph(self._colours, size, threads)}
        graph = self._graphs[size]
        deep.pts = None
        graph.push(deep)
        levels = graph.vpull().to_ndarray()  # h w 3, 16 bits
        return np.ascontiguousarray(levels.view(np.uint8).reshape(*levels.shape, 2)[..., HIGH_BYTE])


def converted(
    converter: "VideoReformatter",
    frame: "VideoFrame",
    size: tuple[int, int],
    pixel_format: str,
    threads: int,
    matrix: int | None = None,
) -> "VideoFrame":
    from av.video.reformatter import Interpolation

    # FFmpeg's default conversion is 1 to 2 of 255 levels too dark, and repeats chroma samples instead of interpolating.
    accurate = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    return converter.reformat(
        frame, *size, pixel_format, src_colorspace=matrix, interpolation=accurate, threads=threads
    )


def table_graph(colours: Colours, size: tuple[int, int], threads: int) -> "Graph":
    """The filters that look up each pixel of a 16-bit frame of this size."""
    from av import VideoFormat
    from av.filter import Graph

    graph = Graph()
    graph.threads = threads
    source = graph.add_buffer(width=size[0], height=size[1], format=VideoFormat(DEEP), time_base=Fraction(1))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "colours.cube"
        file.write_text(cube_text(colours), encoding="ascii")
        table = graph.add("lut3d", file=str(file), interp="tetrahedral")  # reads the file at once
        graph.link_nodes(source, table, graph.add("buffersink")).configure()
    return graph


@cache
def cube_text(colours: Colours) -> str:
    """The table in Adobe's .cube format: red varies fastest. High bytes of its 16-bit levels are rounded bytes."""
    steps = np.linspace(0, 1, TABLE_SIDE)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    table = to_srgb(np.stack([red, green, blue], -1).reshape(-1, 3), colours)
    table = (255 * table + 0.5) * 256 / 65535
    lines = "\n".join(" ".join(f"{level:.5f}" for level in row) for row in table.tolist())
    return f"LUT_3D_SIZE {TABLE_SIDE}\n{lines}\n"


def to_srgb(code: Float[np.ndarray, "n 3"], colours: Colours) -> Float[np.ndarray, "n 3"]:
    """Code values in [0, 1] as sRGB in [0, 1].

    A wide-gamut SDR video keeps its grey: its curve is taken to be sRGB's, as that of any SDR video is here. Colours
    beyond sRGB are clipped. Highlights keep their hue: red, green and blue are scaled by one factor.
    """
    light = LIGHT[colours.transfer](code)
    if colours.primaries in WIDE:
        light = light @ (np.linalg.inv(to_xyz(BT709)) @ to_xyz(WIDE[colours.primaries])).T
    light = light.clip(0)
    if colours.transfer:
        brightest = light.max(1, keepdims=True)
        light = light * rolled_off(brightest) / brightest.clip(1e-9)
    return srgb_code(light.clip(0, 1))


def rolled_off(light: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Relative to diffuse white: equal up to `KNEE`, then with an even slope towards 1."""
    room = 1 - KNEE
    return np.where(light <= KNEE, light, 1 - room * np.exp(-(light - KNEE).clip(0) / room))


def pq_light(code: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """The EOTF of SMPTE ST 2084, relative to diffuse white."""
    power = code ** (1 / 78.84375)
    return 10000 / WHITE * ((power - 0.8359375).clip(0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)


def hlg_light(code: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """The inverse OETF and the OOTF of BT.2100 at its reference display, relative to diffuse white."""
    scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    luminance = (scene @ np.array([[0.2627], [0.6780], [0.0593]])).clip(1e-9)  # n 1
    light: Float[np.ndarray, "n 3"] = HLG_PEAK / WHITE * scene * luminance ** (HLG_GAMMA - 1)
    return light


def srgb_light(code: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def srgb_code(light: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


LIGHT = {0: srgb_light, PQ: pq_light, HLG: hlg_light}  # by transfer


def to_xyz(primaries: tuple[tuple[float, float], ...]) -> Float[np.ndarray, "3 3"]:
    """The matrix from linear RGB of these primaries and D65 white to XYZ."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    x, y = D65
    return columns * np.linalg.solve(columns, [x / y, 1, (1 - x - y) / y])
