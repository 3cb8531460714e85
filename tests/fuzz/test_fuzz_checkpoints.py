"""Published PyTorch checkpoints, as `dagan import` reads them."""

from pathlib import Path

import pytest
import torch
import torch._dynamo  # here, for importing it takes longer than an example may
from hypothesis import strategies as st
from mutations import ODD, damaged, fuzzed, takes_or_refuses

import dagan.models.weights
import dagan.presets
import dagan.released.foreign  # noqa: F401 - here, for importing takes longer than an example may
import published
from dagan.cli.import_ import _write_depth, _write_model
from dagan.released.published import DEPTH, read_published

SHAPES = st.lists(st.sampled_from([0, 1, 2, 3, 4, 7, 64, 1000]), max_size=5).map(tuple)
TYPES = [torch.float16, torch.float64, torch.int8, torch.bool, torch.complex64]
VALUES = st.one_of(
    SHAPES.map(torch.zeros),
    SHAPES.map(lambda shape: torch.full(shape, float("nan"))),
    st.sampled_from(TYPES).map(lambda kind: torch.zeros(1, dtype=kind)),
    st.sampled_from([torch.eye(3).to_sparse(), torch.zeros(2, device="meta"), torch.zeros(1).expand(9), [], {}, "x"]),
    ODD,
)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Files of a few tensors, in the form of today and in that of before PyTorch 1.6."""
    path = tmp_path_factory.mktemp("small") / "old.pth"
    content = {"generator": {"a.weight": torch.ones(3)}, "kp_detector": {"kp.weight": torch.ones(2)}, "epoch": 3}
    found = {}
    for zipped in (True, False):
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        found[zipped] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    """Whole published models, as narrow as they go: their content by kind."""
    folder = tmp_path_factory.mktemp("narrow")
    depth = [torch.load(path, weights_only=True) for path in published.write_published_depth(folder)]
    files = {kind: published.write_published(folder, kind) for kind in ("dagan", "spade")}
    return {"depth": depth} | {kind: [torch.load(file, weights_only=True), *depth] for kind, file in files.items()}


def import_all(paths: list[Path], output: Path) -> None:
    found = read_published(paths)
    if found.kind == DEPTH:
        _write_depth(found, output, {})
    else:
        _write_model(found, output, "centres", {})


@fuzzed(st.data(), share=2)
def test_any_bytes_are_a_checkpoint_or_are_refused(tmp_path, small, data):
    path = tmp_path / "given.pth"
    path.write_bytes(data.draw(damaged(small[data.draw(st.booleans())])))
    takes_or_refuses(lambda: read_published([path]))


@pytest.mark.slow
@fuzzed(st.data(), share=0.2)
def test_any_tensors_are_a_model_or_are_refused(tmp_path, narrow, data):
    parts = narrow[data.draw(st.sampled_from(sorted(narrow)))]
    chosen = data.draw(st.integers(0, len(parts) - 1))
    paths = [tmp_path / f"{number}.pth" for number in range(len(parts))]
    for number, (path, content) in enumerate(zip(paths, parts, strict=True)):
        torch.save(with_another(content, data) if number == chosen else content, path)
    takes_or_refuses(lambda: import_all(paths, tmp_path / "model.safetensors"))


def with_another(content, data):
    """The content with one value replaced, in one of its sections or at its top."""
    content = {name: dict(value) if isinstance(value, dict) else value for name, value in content.items()}
    sections = [content, *(value for value in content.values() if isinstance(value, dict) and len(value) > 3)]
    section = data.draw(st.sampled_from(sections))
    name = data.draw(st.sampled_from(sorted(section)))
    section[name] = data.draw(VALUES)
    return content
