"""What the README shows works as it stands there."""

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dagan.data.clips import fit_square

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.slow
def test_the_readmes_python_runs(portrait):
    code = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(code) == 1
    face = fit_square(portrait, 256)
    found = {"portrait": face, "frames": [np.roll(face, 4 * step, axis=1) for step in range(3)], "rate": Fraction(25)}
    exec(code[0], found)
    assert len(found["pictures"]) == 3
    assert found["pictures"][0].shape == (256, 256, 3)
    assert found["rendering"].generated.shape == (1, 3, 256, 256)
