"""Runs before every test module: shapes are checked at call time, numbers are seeded, torch keeps to few threads."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from jaxtyping import install_import_hook

if TYPE_CHECKING:
    from dagan.models.talking_head import TalkingHead, TalkingHeadConfig
    from dagan.observers import MediaPipeFace

# Must come before the first import of a dagan module: the hook rewrites modules as they are imported.
install_import_hook("dagan", "shape_checks.checked")

SHARED_WEIGHTS = Path(__file__).parents[2] / "shared" / "models"
THREADS = 1  # the tensors here are tiny: more threads would wait for each other


def pytest_configure() -> None:
    torch.set_num_threads(THREADS)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def _own_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or makes the signing key of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGAN_KEYS", str(tmp_path_factory.mktemp("keys")))
        yield


@pytest.fixture(scope="session")
def tiny_config() -> "TalkingHeadConfig":
    """`tiny_head`, made once."""
    from parts import tiny_head

    return tiny_head()


@pytest.fixture
def tiny_model(tiny_config: "TalkingHeadConfig") -> "TalkingHead":
    """An untrained model of `tiny_config` in evaluation mode: its keypoints already differ from image to image."""
    return tiny_config.build().eval()


@pytest.fixture(scope="session")
def observer() -> "Iterator[MediaPipeFace]":
    from dagan.observers import MediaPipeFace

    with MediaPipeFace() as face_observer:
        yield face_observer


@pytest.fixture(scope="session")
def weights_folder() -> Path:
    """The folder with the weights of identity and LPIPS, where there is one."""
    from dagan.data.weight_files import ALEXNET, LPIPS_LINEAR, SFACE

    if not all((SHARED_WEIGHTS / file.name).is_file() for file in (SFACE, ALEXNET, LPIPS_LINEAR)):
        pytest.skip("no weights in ../shared/models")
    return SHARED_WEIGHTS


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    from changed_photo import photo

    return photo()
