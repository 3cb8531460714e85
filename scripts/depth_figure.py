"""The pictures of docs/depth.md: held-out synthetic heads with true and found depth, and their clouds from the side.

python scripts/depth_figure.py OUT.jpg NAME=F_d.safetensors [NAME=...]
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from dagan.data.synthetic import HEAD, synthetic_clip
from dagan.data.synthetic.store import HELD_OUT_FROM
from dagan.evaluation.depth_heads import predicted_depth
from dagan.evaluation.metrics.depth import median_scaled
from dagan.images import PALETTE
from dagan.models.weights import load_depth

SIZE, HEADS, TURN = 128, 6, 0.6  # pixels, heads, radians about the vertical that clouds are seen from
TITLE = 14
Picture = np.ndarray


def coloured(depth: np.ndarray, low: float, high: float) -> Picture:
    """Near is light, far is dark, between two depths."""
    near = np.clip((high - depth) / (high - low), 0, 1) * (len(PALETTE) - 1)
    table = np.array(PALETTE)
    index = np.minimum(near.astype(int), len(PALETTE) - 2)
    part = (near - index)[..., None]
    return np.round(255 * (table[index] * (1 - part) + table[index + 1] * part)).astype(np.uint8)


def cloud(frame: Picture, depth: np.ndarray, head: np.ndarray, intrinsics: np.ndarray) -> Picture:
    """The head's points, seen from the side, far ones first."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    rays = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(intrinsics.astype(np.float64)).T
    points, colours = (rays * depth[..., None])[head], frame[head]
    points = points - np.median(points, 0)
    cos, sin = np.cos(TURN), np.sin(TURN)
    turned = points @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]).T
    scale = 0.45 * SIZE / np.abs(points[:, :2]).max()
    order = np.argsort(-turned[:, 2])
    column, row = (turned[order, :2] * scale + SIZE / 2).astype(int).T
    picture = np.full((SIZE, SIZE, 3), 245, np.uint8)
    for shift_y, shift_x in ((0, 0), (0, 1), (1, 0), (1, 1)):
        inside = (row + shift_y >= 0) & (row + shift_y < SIZE) & (column + shift_x >= 0) & (column + shift_x < SIZE)
        picture[row[inside] + shift_y, column[inside] + shift_x] = colours[order][inside]
    return picture


def main(out: Path, files: dict[str, Path]) -> None:
    networks = {name: load_depth(file) for name, file in files.items()}
    columns = []
    for identity in range(HELD_OUT_FROM, HELD_OUT_FROM + HEADS):
        clip = synthetic_clip(1, SIZE, identity)
        frame, true, head = clip.frames[0], clip.depth[0], clip.part[0] == HEAD
        low, high = np.percentile(true[head], (0, 100))
        high += 0.5 * (high - low)  # so that the shoulders have colours, too
        rows = [frame, coloured(true, low, high), cloud(frame, true, head, clip.intrinsics)]
        for network in networks.values():
            found = median_scaled(predicted_depth(network, frame), true, head)
            rows += [coloured(found, low, high), cloud(frame, found, head, clip.intrinsics)]
        columns.append(np.concatenate(rows))
    picture = np.concatenate(columns, 1)
    titles = ["frame", "true depth", "its cloud"]
    titles += [title for name in networks for title in (f"{name}: depth", f"{name}: cloud")]
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    for row, title in enumerate(titles):
        draw.rectangle([0, row * SIZE, 8 + 6 * len(title), row * SIZE + TITLE], fill="white")
        draw.text((4, row * SIZE + 1), title, fill="black")
    image.save(out, quality=88)


if __name__ == "__main__":
    main(Path(sys.argv[1]), {name: Path(file) for name, _, file in (word.partition("=") for word in sys.argv[2:])})
