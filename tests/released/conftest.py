"""Published models at their full size, imported once a session through the command line from rule-filled files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import published

SHARED = Path(__file__).parents[3] / "shared" / "fixtures"  # beside the repository
SIZES = {"fomm": published.PUBLISHED._replace(keypoints=10)}


@pytest.fixture(scope="session")
def shared_fixtures() -> Path:
    """The folder of reference results."""
    if not SHARED.is_dir():
        pytest.skip(f"no reference results: {SHARED} is not there")
    return SHARED


@pytest.fixture(scope="session")
def reference(shared_fixtures: Path) -> Callable[[str], dict[str, Tensor]]:
    """The arrays of reference_NAME.npz."""

    def read(name: str) -> dict[str, Tensor]:
        with np.load(shared_fixtures / f"reference_{name}.npz") as arrays:
            return {key: torch.from_numpy(arrays[key]) for key in arrays.files}

    return read


@pytest.fixture(scope="session")
def reference_losses(shared_fixtures: Path) -> dict[str, Any]:
    losses: dict[str, Any] = json.loads((shared_fixtures / "reference_dagan_losses.json").read_text())
    return losses


@pytest.fixture(scope="session")
def images(reference: Callable[[str], dict[str, Tensor]]) -> dict[str, Tensor]:
    """source, driving, driving_initial: `1 3 256 256` in [0, 1]."""
    arrays = reference("dagan")
    names = ("source", "driving", "driving_initial")
    return {name: arrays[f"{name}_u8"].permute(2, 0, 1)[None].float() / 255 for name in names}


@pytest.fixture(scope="session")
def imported(shared_fixtures: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`dagan import` of a full-size, rule-filled checkpoint: the model file. The checkpoint is deleted again."""
    from dagan.cli.main import main

    def run(kind: str, layers: int = 18, **form: Any) -> Path:
        folder = tmp_path_factory.mktemp(kind)
        depth = [] if kind == "fomm" else published.write_published_depth(folder, layers, published.PUBLISHED)
        sizes = SIZES.get(kind, published.PUBLISHED)
        files = [] if kind == "depth" else [published.write_published(folder, kind, sizes, **form)]
        words = [*files, *(["--depth", *depth] if depth else []), "-o", folder / "model.safetensors"]
        assert main(["import", *map(str, words)]) == 0
        for path in (*files, *depth):
            path.unlink()
        return folder / "model.safetensors"

    return run
