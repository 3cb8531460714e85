"""The mean face of `transfer/face_transfer.py`, from landmarks of clips: `scripts/mean_face.py LANDMARKS_DIR`.

Faces of all clips (12 frames of each) are laid over each other by scaled rotations (Procrustes) and the median is
taken, made symmetric, and turned to look straight on.
"""

import argparse
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dagan.face import MESH_INDICES, MIRROR

FRAMES = 12  # of each clip
ROUNDS = 8
CHIN, FOREHEAD, RIGHT, LEFT, LIDS = 1, 2, 3, 4, slice(9, 13)  # places among MESH_INDICES


def faces(folder: Path) -> Float[np.ndarray, "f 478 3"]:
    """Landmarks with their depth, centred, of unit size."""
    chosen = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as track:
            seen = track["found"].nonzero()[0]
            numbers = np.random.default_rng(zlib.crc32(path.stem.encode()))
            picked = numbers.choice(seen, min(FRAMES, len(seen)), replace=False)
            depth = track["farther"][picked].astype(float)[..., None]
            chosen.append(np.concatenate([track["landmarks"][picked].astype(float), depth], -1))
    points = np.concatenate(chosen)
    points -= points.mean(1, keepdims=True)
    return points / np.sqrt(np.square(points).sum(2).mean(1))[:, None, None]


def laid_over(face: Float[np.ndarray, "n 3"], mean: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """The face, turned to the mean one."""
    u, _, v = np.linalg.svd(face.T @ mean)
    return face @ (u @ np.diag([1, 1, np.sign(np.linalg.det(u @ v))]) @ v)


def straight(mean: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Turned so that x runs from side to side and y from forehead to chin; sides 2 apart; symmetric."""
    across = mean[LEFT] - mean[RIGHT]
    x = across / np.linalg.norm(across)
    down = mean[CHIN] - mean[FOREHEAD]
    y = down - down @ x * x
    y /= np.linalg.norm(y)
    turned = mean @ np.stack([x, y, np.cross(x, y)], 1) * (2 / np.linalg.norm(across))
    other = list(MIRROR)
    turned = (turned + turned[other] * [-1, 1, 1]) / 2
    return turned - [0, turned[LIDS, 1].mean(), turned[[RIGHT, LEFT], 2].mean()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("landmarks", type=Path, help="folder written by scripts/landmarks.py")
    args = parser.parse_args()
    found = faces(args.landmarks)
    mean = found[0]
    for _ in range(ROUNDS):
        mean = np.median([laid_over(face, mean) for face in found], axis=0)
        mean /= np.sqrt(np.square(mean).sum(1).mean())
    for point in straight(mean[list(MESH_INDICES)]):
        print("({:.3f}, {:.3f}, {:.3f}),".format(*point))


if __name__ == "__main__":
    main()
