"""A clip as a folder of frames in which a picture moves sideways."""

from pathlib import Path

import numpy as np
from PIL import Image

NUM_FRAMES = 18


def write_clip(folder: Path, portrait: np.ndarray, num_frames: int = NUM_FRAMES) -> None:
    """Frames in which the portrait moves 3 pixels to the right, each."""
    folder.mkdir(parents=True)
    for index in range(num_frames):
        moved = np.roll(portrait, 3 * index - 24, axis=1)
        Image.fromarray(moved).save(folder / f"{index:02}.png", compress_level=1)
