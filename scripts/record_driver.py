"""Records the motion of a video as keypoints, without one pixel of the driver: how the bundled driver was made.

python scripts/record_driver.py CLIP.mp4 src/dagan/assets/driver.safetensors --first 0 --count 150
"""

import argparse
from itertools import islice
from pathlib import Path

import dagan
from dagan.inference.drivers import cropped_frames
from dagan.inference.recorded_motion import record_motion, save_motion
from dagan.inference.video import probe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--model", help="weights (default: those of the package)")
    parser.add_argument("--first", type=int, default=0, help="first frame to record")
    parser.add_argument("--count", type=int, help="how many frames (default: to the end)")
    parser.add_argument("--size", type=int, default=256)
    args = parser.parse_args()
    rate = probe(args.video).rate
    frames = islice(cropped_frames(args.video, rate, "auto", args.size), args.first, None)
    motion = record_motion(dagan.load(args.model), islice(frames, args.count), rate)
    save_motion(motion, args.output)
    print(f"{args.output}: {len(motion)} frames at {rate} per second, {args.output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
