"""Hours of video a core prepares in an hour, stage by stage; scaling to two workers; memory over many raw videos.

    python benchmarks/prepare.py RAW [--identity-weights FILE] [--stages] [--scaling] [--memory 200]

Each worker is pinned to one core. Stages are timed by the processor's clock, so that other work on the machine counts
little; scaling by the wall clock of pinned runs. `--memory N` prepares N short raw videos in one process.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dagan.data.decoding import DecodeReport, read_frames
from dagan.data.storing import H264Encoder
from dagan.data.timing import frame_rate
from dagan.data.weight_files import ASSETS
from dagan.images import Crop
from dagan.inference.face_detector import YuNet
from dagan.observers.mediapipe_face import MediaPipeFace
from dagan.observers.sface import SFace
from dagan.preparation.cutting import FACES_COMPARED, cut
from dagan.preparation.job import do_units
from dagan.preparation.scores import sharpness
from dagan.preparation.settings import Settings
from dagan.preparation.shots import ShotFinder
from dagan.preparation.units import find_units
from dagan.preparation.watching import LOOKS_A_SECOND
from dagan.workers import Here, Processes

FRAMES = 200  # of each raw video, for the stages
CLIP_SECONDS = 5  # of a usual clip: identity is looked at a few times in each
LOOSE = Settings(min_seconds=0.4, min_motion=0.0, max_shake=100.0, max_caption=1.0, people="files")


def clocked(work, items):
    """Seconds of processor time that a function takes for items, one by one."""
    started = time.process_time()
    for item in items:
        work(item)
    return time.process_time() - started


def stages(raws, weights):
    """Milliseconds of each stage for one second of video with one face."""
    torch.set_num_threads(1)
    detector, spent, seconds = YuNet(), {}, 0.0
    with MediaPipeFace() as face:
        identity = SFace(face, weights) if weights else None
        for raw in raws:
            rate = float(frame_rate(raw).nominal)
            started = time.process_time()
            frames = list(islice(read_frames(raw, DecodeReport()), FRAMES))
            took = {"decode, twice": 2 * (time.process_time() - started)}
            side = min(frames[0].shape[:2]) // 2
            crops = [cut(frame, Crop(side // 2, side // 2, side), 256) for frame in frames]
            encoder = H264Encoder(256, 8)
            looks = frames[:: max(1, round(rate / LOOKS_A_SECOND))]
            took["shots"] = clocked(ShotFinder().add, frames)
            took["faces"] = clocked(detector.detect, looks)
            took["crop"] = clocked(lambda frame, side=side: cut(frame, Crop(0, 0, side), 256), frames)
            took["landmarks"] = clocked(face.observe, crops)
            took["sharpness"] = clocked(sharpness, crops[::5])
            took["encode"] = clocked(encoder.add, crops)
            if identity is not None:
                count = max(1, round(FACES_COMPARED * len(frames) / rate / CLIP_SECONDS))
                took["identity"] = clocked(identity.identity, crops[:count])
            seconds += len(frames) / rate
            for name, value in took.items():
                spent[name] = spent.get(name, 0.0) + value
    print("| stage | ms for a second of video | hours of video in a core-hour |\n| --- | --- | --- |")
    for name, value in [*spent.items(), ("all", sum(spent.values()))]:
        print(f"| {name} | {1000 * value / seconds:.0f} | {seconds / value:.1f} |")


def prepared(raws, weights, count):
    """Seconds by the wall clock and by the processors' on `count` cores, one worker on each."""
    cores = sorted(os.sched_getaffinity(0))[:count]
    os.sched_setaffinity(0, cores)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        workers = Processes(count) if count > 1 else Here()
        do_units(find_units(raws), Path(folder), Settings(), workers, weights)
        spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return time.perf_counter() - started, sum(used.ru_utime + used.ru_stime for used in spent)


def scaling(raws, weights):
    """Times of one worker and of two."""
    for count in (1, 2):
        words = [sys.executable, __file__, *map(str, raws), "--count", str(count)]
        words += ["--identity-weights", str(weights)] if weights else []
        said = subprocess.run(
            words, check=True, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        wall, spent = map(float, said.stdout.split())
        print(f"{count} worker{'s' * (count > 1)}: {wall:.1f} s, {spent:.1f} s of processor time", flush=True)


def memory(count):
    """Greatest memory of the process as it prepares one short raw video after another."""
    with tempfile.TemporaryDirectory() as folder:
        raw, out = Path(folder) / "raw", Path(folder) / "out"
        raw.mkdir()
        out.mkdir()
        first = short_video(raw / "raw0000.mp4")
        for number in range(1, count):
            (raw / f"raw{number:04d}.mp4").write_bytes(first.read_bytes())
        steps = {1, 10, count // 4, count // 2, count}

        def tell(done, _):
            if done in steps:
                print(
                    f"after {done} clips: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB",
                    flush=True,
                )

        do_units(find_units([raw]), out, LOOSE, Here(), None, tell)


def short_video(path):
    """A photo that moves about for half a second."""
    import av

    with Image.open(ASSETS / "astronaut.png") as photo:
        face = photo.convert("RGB").crop((118, 16, 330, 228)).resize((160, 160))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 480, 270, "yuv420p"
        for step in range(14):
            page = Image.new("RGB", (480, 270), (30, 90, 120))
            page.paste(face, (150 + step, 50 + step))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(page))))
        container.mux(stream.encode(None))
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, nargs="*")
    parser.add_argument("--identity-weights", type=Path)
    parser.add_argument("--stages", action="store_true")
    parser.add_argument("--scaling", action="store_true")
    parser.add_argument("--memory", type=int, default=0, metavar="N")
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.count:
        print(*prepared(args.raw, args.identity_weights, args.count))
    if args.stages:
        stages([unit.path for unit in find_units(args.raw)], args.identity_weights)
    if args.scaling:
        scaling(args.raw, args.identity_weights)
    if args.memory:
        memory(args.memory)


if __name__ == "__main__":
    main()
