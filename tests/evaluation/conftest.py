"""A real face (the bundled portrait, cut around it) and the observers that measure it; made once."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from moving_portrait import write_clip

from dagan.evaluation.evaluator import Evaluator, EvaluatorConfig


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads a user's cache, or the network."""
    monkeypatch.setenv("DAGAN_DOWNLOAD", "0")
    monkeypatch.setenv("DAGAN_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def evaluator() -> Iterator[Evaluator]:
    """What needs no weights beyond the package."""
    with EvaluatorConfig(identity="none", lpips="none").build() as built:
        yield built


@pytest.fixture(scope="session")
def full_evaluator(weights_folder: Path) -> Iterator[Evaluator]:
    """With identity and LPIPS."""
    with EvaluatorConfig(identity_weights=str(weights_folder), lpips_weights=str(weights_folder)).build() as built:
        yield built


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory, portrait: np.ndarray) -> Path:
    """Two clips of 18 frames, of two people by name."""
    root = tmp_path_factory.mktemp("clips")
    write_clip(root / "ann__c0", portrait)
    write_clip(root / "bob__c0", portrait[:, ::-1])
    return root
