"""What the invisible mark costs and what it outlives, and how often it is found where there is none.

    python benchmarks/watermark.py CLIPS [--clips 12] [--frames 48] [--searched 4] [--keys 100000]

For each clip: marked, changed as a sender or a website would, read. Only the cropped ones are searched, in the first
`--searched` clips. Then the unmarked clips are read, and the first of them with wrong keys.
"""

import argparse
import io
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import av
import numpy as np
from PIL import Image

from dagan.data.decoding import DecodeReport, read_frames
from dagan.provenance.code import decoded
from dagan.provenance.grid import Place, grid_at
from dagan.provenance.pattern import patterns
from dagan.provenance.payload import TOOL, Payload, checked
from dagan.provenance.reading import DECODED, GAINS, Reading, contrasts, mean_phase, read_at, sampled
from dagan.provenance.search import FRAMES, cropped, means_of_size, sizes
from dagan.provenance.verify import find_mark
from dagan.provenance.watermark import STEP, Watermark

PAYLOAD = Payload(TOOL, 0xC8, 0x11, 5)
Frames = list[np.ndarray]


def coded(frames: Frames, quality: int, codec: str = "libx264", side: int | None = None, rate: int = 25) -> Frames:
    """The frames after a codec at a constant quality, scaled to `side` if it is given."""
    file, vp9 = io.BytesIO(), codec != "libx264"
    with av.open(file, "w", format="webm" if vp9 else "mp4") as container:
        options = {"crf": str(quality)} | ({"b": "0", "cpu-used": "5"} if vp9 else {})
        stream = container.add_stream(codec, rate=rate, options=options)
        height, width = frames[0].shape[:2]
        stream.width, stream.height = side or width // 2 * 2, side or height // 2 * 2
        stream.pix_fmt = "yuv420p"
        for pixels in frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame = frame.reformat(width=stream.width, height=stream.height, format="yuv420p", interpolation="BICUBIC")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def gif(frames: Frames) -> Frames:
    """Every second frame in 256 colours, dithered."""
    return [np.asarray(Image.fromarray(one).quantize(256).convert("RGB")) for one in frames[::2]]


def thinned(frames: Frames) -> Frames:
    return [one for number, one in enumerate(frames) if number % 5 in (0, 2, 3)]


def lit(frames: Frames, contrast: float, brightness: float) -> Frames:
    return [
        np.clip(128 + contrast * (one.astype(np.float32) - 128) + brightness, 0, 255).astype(np.uint8) for one in frames
    ]


def cut(frames: Frames, left: float, top: float) -> Frames:
    """A tenth of each side less: `left` and `top` are the shares cut off there."""
    height, width = frames[0].shape[:2]
    x, y = round(left * width), round(top * height)
    return [one[y : y + round(0.9 * height), x : x + round(0.9 * width)] for one in frames]


DIRECT: dict[str, Callable[[Frames], Frames]] = {
    "H.264, CRF 18": lambda f: coded(f, 18),
    "H.264, CRF 23": lambda f: coded(f, 23),
    "H.264, CRF 28": lambda f: coded(f, 28),
    "H.264, CRF 32": lambda f: coded(f, 32),
    "half size, CRF 23": lambda f: coded(f, 23, side=f[0].shape[0] // 2),
    "half size, CRF 28": lambda f: coded(f, 28, side=f[0].shape[0] // 2),
    "brightness +25, CRF 23": lambda f: coded(lit(f, 1, 25), 23),
    "contrast x0.8, CRF 23": lambda f: coded(lit(f, 0.8, 0), 23),
    "contrast x1.2, CRF 23": lambda f: coded(lit(f, 1.2, 0), 23),
    "three frames of five, CRF 23": lambda f: coded(
        [one for n, one in enumerate(f) if n % 5 in (0, 2, 3)], 23, rate=15
    ),
    "GIF, every second frame": gif,
    "WebM (VP9), CRF 32": lambda f: coded(f, 32, "libvpx-vp9"),
    "twice: CRF 28, then 30": lambda f: coded(coded(f, 28), 30),
    "one frame, PNG": lambda f: f[len(f) // 2 : len(f) // 2 + 1],
}
SEARCHED: dict[str, Callable[[Frames], Frames]] = {
    "crop of 10 %, 5 % a side, CRF 23": lambda f: coded(cut(f, 0.05, 0.05), 23),
    "crop of 10 %, one side each, CRF 23": lambda f: coded(cut(f, 0.1, 0.0), 23),
}


def whole(frames: Frames) -> Place:
    return Place(0, 0, frames[0].shape[1], frames[0].shape[0])


def measure(clips: list[tuple[str, Frames]], num_searched: int) -> None:
    marked = []
    quality, cost = [], []
    for _, frames in clips:
        mark, started = Watermark(PAYLOAD), time.thread_time()
        made = [mark.apply(one) for one in frames]
        cost.append((time.thread_time() - started) / len(frames) * 1e3)
        marked.append(made)
        error = np.mean((np.stack(made).astype(np.float32) - np.stack(frames)) ** 2, axis=(1, 2, 3))
        quality.append((10 * np.log10(255**2 / error.mean()), 10 * np.log10(255**2 / error.max())))
    clip_quality, frame_quality = np.array(quality).T
    print(f"| PSNR of the mark, {len(clips)} clips | median {np.median(clip_quality):.1f} dB, lowest clip ", end="")
    print(f"{clip_quality.min():.1f}, lowest frame {frame_quality.min():.1f}; {np.median(cost):.1f} ms a frame |")
    for table, count in ((DIRECT, len(clips)), (SEARCHED, num_searched)):
        for name, change in table.items():
            report(name, change, list(zip(clips, marked, strict=True))[:count], table is SEARCHED)


def report(name: str, change: Callable[[Frames], Frames], clips: list, search: bool) -> None:
    """A row of the table: how many marks are found, how many coded bits are right in those, and the misses."""
    right, missed = [], []
    for (clip, _), made in clips:
        frames = sampled(change(made))
        found = (
            find_mark(frames, [whole(frames)])
            if search
            else read_at(frames, contrasts(frames, [whole(frames)]), DECODED)
        )
        if found is not None and found.payload == PAYLOAD:
            right.append(found.agreement)
        else:
            missed.append(clip)
    share = f"{np.mean(right):.3f}" if right else "-"
    print(f"| {name} | {len(right)} of {len(clips)} | {share} | {', '.join(missed)} |", flush=True)


def unsearched(frames: Frames, places: list[Place]) -> Reading | None:
    return read_at(frames, contrasts(frames, places), DECODED)


def unmarked(clips: list[tuple[str, Frames]], num_searched: int) -> None:
    found = 0
    for number, (_, frames) in enumerate(clips):
        grey = sampled(frames)
        places = [whole(grey)]
        found += (
            find_mark(grey, places) if number < num_searched else read_at(grey, contrasts(grey, places), 8)
        ) is not None
    print(f"| unmarked clips, {num_searched} of them searched | {found} of {len(clips)} taken for marked |", flush=True)


def wrong_keys(name: str, frames: Frames, count: int, batch: int = 500) -> None:
    """As `find_mark` reads an unmarked clip, with keys that nothing was marked with: the best 8 contrasts and the best
    8 places (of every eighth size, all shifts) are decoded."""
    grey = sampled(frames)
    grids = np.stack([grid_at(one, whole(grey)).ravel() for one in grey]) @ patterns().T / STEP
    direct = mean_phase(grids / GAINS[:, None, None])
    window = cropped(*grey[0].shape[::-1])
    few = grey[:: -(-len(grey) // FRAMES)]
    places = np.concatenate(
        [means_of_size(few, window, float(size), len(patterns()))[0] for size in sizes(window)[::8]]
    )
    passed, started = 0, time.perf_counter()
    for first in range(0, count, batch):
        turns = np.random.default_rng(first).random((min(batch, count - first), 144), np.float32)
        keys = np.exp(-2j * np.pi * turns).astype(np.complex64)
        soft = np.concatenate([best_of(direct, keys), best_of(places, keys)], axis=1)  # keys 16 144
        for number, bits in enumerate(decoded(soft.reshape(-1, 144))):
            passed += checked(bits, b"wrong %d" % (first + number // (2 * DECODED))) is not None
    print(
        f"| {name}, {count} wrong keys, {len(direct) + len(places)} hypotheses, 16 decoded each | {passed} found; ",
        end="",
    )
    print(f"expected {count * 16 / 2**24:.2f}; {time.perf_counter() - started:.0f} s |", flush=True)


def best_of(means: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """For each key the soft values of the 8 hypotheses that look most like its lattice."""
    size = np.abs(means) + 1e-9
    flat = means**2 / size / np.sqrt((size**2).sum(1, keepdims=True) / 2)
    scores = flat.real @ (keys**2).real.T - flat.imag @ (keys**2).imag.T  # n keys
    chosen = np.argpartition(scores, -DECODED, axis=0)[-DECODED:].T  # keys 8
    return (means[chosen] * keys[:, None]).real.astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=12, help="at most one of each person")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--searched", type=int, default=4)
    parser.add_argument("--keys", type=int, default=100_000)
    args = parser.parse_args()
    people = {path.name.split("__")[0]: path for path in sorted(args.folder.glob("*.mp4"), reverse=True)}
    chosen = sorted(people.values())[: args.clips]
    clips = [(path.stem, list(islice(read_frames(path, DecodeReport()), args.frames))) for path in chosen]
    if args.keys:
        wrong_keys(*clips[0], args.keys)
    measure(clips, args.searched)
    unmarked(clips, args.searched)


if __name__ == "__main__":
    main()
