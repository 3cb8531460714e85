"""Landmarks of every frame of every clip, for training: `scripts/landmarks.py CLIPS_DIR -o OUT_DIR [--stride N]`.

Writes `<clip name>.npz` per clip, in the order in which `dagan.data` decodes them:
  landmarks    float16  t 478 2   (x, y) in [-1, 1], where -1 and +1 are the outer edges of the image
  farther      float16  t 478     z, away from the camera, in half image widths from the head's middle
  found        bool     t         False where no face was found, or the frame was skipped by --stride
  blendshapes  float16  t 52      by `dagan.observers.BLENDSHAPE_NAMES`
Finished clips are skipped, so an interrupted run goes on where it stopped.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dagan.data.decoding import read_frames
from dagan.observers import BLENDSHAPE_NAMES, NUM_MESH_POINTS, FaceObserver, MediaPipeFace


class ClipLandmarks(NamedTuple):
    landmarks: np.ndarray
    farther: np.ndarray
    found: np.ndarray
    blendshapes: np.ndarray


def clip_landmarks(observer: FaceObserver, clip: Path, stride: int) -> ClipLandmarks:
    landmarks, farther, found, blendshapes = [], [], [], []
    for index, image in enumerate(read_frames(clip)):
        seen = observer.observe(image) if index % stride == 0 else None
        found.append(seen is not None)
        if seen is None:
            landmarks.append(np.zeros((NUM_MESH_POINTS, 2)))
            farther.append(np.zeros(NUM_MESH_POINTS))
            blendshapes.append(np.zeros(len(BLENDSHAPE_NAMES)))
            continue
        landmarks.append(seen.landmarks[:, :2] / (image.shape[1], image.shape[0]) * 2 - 1)
        farther.append(seen.landmarks[:, 2] / image.shape[1] * 2)
        blendshapes.append(seen.blendshapes)
    return ClipLandmarks(
        np.asarray(landmarks, np.float16).reshape(-1, NUM_MESH_POINTS, 2),
        np.asarray(farther, np.float16).reshape(-1, NUM_MESH_POINTS),
        np.asarray(found, bool),
        np.asarray(blendshapes, np.float16).reshape(-1, len(BLENDSHAPE_NAMES)),
    )


def save(arrays: ClipLandmarks, path: Path) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with part.open("wb") as file:
        np.savez_compressed(file, **arrays._asdict())
    os.replace(part, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, help="folder of .mp4 clips")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the .npz files, made if missing")
    parser.add_argument("--stride", type=int, default=1, help="look at every N-th frame only")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    clips = sorted(args.clips.glob("*.mp4"))
    start, frames, faces = time.monotonic(), 0, 0
    with MediaPipeFace() as observer:
        for number, clip in enumerate(clips, 1):
            target = args.out / f"{clip.stem}.npz"
            if target.exists():
                continue
            arrays = clip_landmarks(observer, clip, args.stride)
            save(arrays, target)
            frames, faces = frames + len(arrays.found), faces + int(arrays.found.sum())
            rate = frames / (time.monotonic() - start)
            print(f"{number}/{len(clips)} {clip.stem}: {faces}/{frames} faces, {rate:.0f} frames/s", flush=True)
    print(f"done: {len(clips)} clips, {faces}/{frames} faces in this run", file=sys.stderr)


if __name__ == "__main__":
    main()
