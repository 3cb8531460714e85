"""The Python of docs/animate.md runs as it stands there."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dagan.data.clips import fit_square

PAGE = Path(__file__).parents[1] / "docs" / "animate.md"


@pytest.mark.slow
def test_the_examples_of_the_page_run(portrait, tmp_path, monkeypatch):
    face = fit_square(portrait, 256)
    frames = [np.roll(face, 4 * step, axis=1) for step in range(2)]
    for name, picture in (("photo", face), ("face", face), ("0", frames[0]), ("1", frames[1])):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    monkeypatch.chdir(tmp_path)
    names = {"photo": face, "frames": frames, "frame": frames[1]}
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(code, names)
    assert names["picture"].shape == (256, 256, 3)
    assert len(names["motion"]) == 2
    assert names["rendering"].generated.shape == (1, 3, 256, 256)
