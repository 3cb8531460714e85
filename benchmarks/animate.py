"""Milliseconds a frame of animation: a model as it is written down beside each engine, interleaved.

    python benchmarks/animate.py [--preset lite] [--engines torch:fp32,openvino:fp32] [--rounds 5] [--frames 16]

Each runs in a process of its own, because peak memory is one number per process. *naive* computes everything for every
frame, in float32. Times are medians of rounds; "CPU" is of all cores together, and steadier where other programs run.
"""

import argparse
import multiprocessing as mp
import resource
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import torch

from dagan.models.composition import flat_image
from dagan.models.weights import load
from dagan.presets import PRESETS
from dagan.runtime.agreement import psnr
from dagan.runtime.choice import build_engine
from dagan.runtime.samples import portrait_frames


@torch.inference_mode()
def work(pipe, engine: str, preset: str, size: int) -> None:
    """Answers numbers of frames with the seconds that they took; first one picture and the seconds until it came."""
    started = time.perf_counter()
    torch.manual_seed(0)
    model = load() if preset == "lite" else PRESETS[preset].build().eval()
    image, driving = portrait_frames(size, 6)

    if engine == "naive":
        workers = 1

        def draw(frame):
            return model.render(model.view(image), model.view(frame).keypoints).generated
    else:
        made = build_engine(model, model.encode(model.view(image)), *engine.split(":"))
        workers = made.num_workers

        def draw(frame):
            return flat_image(made.layers(made.keypoints(frame)), image)

    pipe.send((draw(driving[-1]).numpy(), time.perf_counter() - started))
    while num_frames := pipe.recv():
        wall, cpu = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(workers) as pool:  # as many frames at once as an animation computes
            list(pool.map(torch.inference_mode()(draw), (driving[i % len(driving)] for i in range(num_frames))))
        taken = (time.perf_counter() - wall) / num_frames * 1e3, (time.process_time() - cpu) / num_frames * 1e3
        pipe.send((*taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="lite", help="lite has its weights, others random ones")
    parser.add_argument("--engines", default="torch:fp32,openvino:fp32,openvino:int8", help="runtime:precision")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=16, help="of a round; naive: a quarter")
    args = parser.parse_args()
    context, pipes, first = mp.get_context("spawn"), {}, {}
    for engine in ("naive", *args.engines.split(",")):
        pipes[engine], theirs = context.Pipe()
        context.Process(target=work, args=(theirs, engine, args.preset, args.size), daemon=True).start()
        first[engine] = pipes[engine].recv()
    rounds = []
    for _ in range(args.rounds + 1):
        rounds.append({})
        for engine, pipe in pipes.items():
            pipe.send(max(1, args.frames // 4) if engine == "naive" else args.frames)
            rounds[-1][engine] = pipe.recv()
    for pipe in pipes.values():
        pipe.send(0)
    print(f"| {args.preset} | ms/frame | CPU ms | ready s | peak MiB | to naive |\n|{' --- |' * 6}")
    for engine, (picture, ready) in first.items():
        wall, cpu, peak = map(statistics.median, zip(*(one[engine] for one in rounds[1:]), strict=True))
        near = psnr(torch.from_numpy(picture), torch.from_numpy(first["naive"][0]))
        print(f"| {engine} | {wall:.1f} | {cpu:.1f} | {ready:.1f} | {peak:.0f} | {near:.1f} dB |")


if __name__ == "__main__":
    main()
