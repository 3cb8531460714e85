"""Decodes clips on all cores for `dagan train --cache`: `scripts/decode_clips.py CACHE CLIPS_DIR...`.

A GPU that is lent by the minute should not wait for it.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from dagan.data.clips import find_clips
from dagan.data.frame_cache import open_clip

SIZE = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cache", type=Path)
    parser.add_argument("clips", type=Path, nargs="+")
    args = parser.parse_args()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for folder in args.clips:
            cache = args.cache / folder.name
            cache.mkdir(parents=True, exist_ok=True)
            clips = find_clips(folder)
            frames = sum(map(len, pool.map(open_clip, clips, [cache] * len(clips), [SIZE] * len(clips))))
            print(f"{folder.name}: {len(clips)} clips, {frames} frames", flush=True)


if __name__ == "__main__":
    main()
