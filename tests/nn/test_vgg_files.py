"""Where the perceptual network comes from."""

import hashlib
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import torch
from safetensors.torch import save_file

from dagan.data.weight_files import VGG16, VGG19, WeightFile
from dagan.errors import UserError
from dagan.nn import vgg_files
from dagan.nn.vgg import VGG, VGG_16, VGG_19, load_vgg
from dagan.nn.vgg_files import find_vgg


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "cache").mkdir()
    monkeypatch.setenv("DAGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DAGAN_DOWNLOAD", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Small stand-ins for the known files: their contents by name."""
    contents = {name: name.encode() for name in ("a19.pth", "b19.safetensors", "a16.pth", "b16.safetensors")}
    files = {
        name: WeightFile(name, hashlib.sha256(content).hexdigest(), "BSD-3-Clause", (f"https://x.example/{name}",))
        for name, content in contents.items()
    }
    table = {
        "vgg19": (files["a19.pth"], files["b19.safetensors"]),
        "vgg16": (files["a16.pth"], files["b16.safetensors"]),
    }
    monkeypatch.setattr(vgg_files, "FILES", table)
    return contents


def test_a_given_file_is_taken_as_it_is(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "mine.safetensors").write_bytes(b"")
    found = find_vgg(tmp_path / "mine.safetensors")
    assert found.path == tmp_path / "mine.safetensors"
    assert str(found) == "perceptual network: mine.safetensors (given)"


def test_the_cache_is_looked_through_best_first_and_only_right_bytes_count(
    cache: Path, known: dict[str, bytes]
) -> None:
    for name, content in known.items():
        (cache / name).write_bytes(content)
    for expected in ("a19.pth", "b19.safetensors", "a16.pth", "b16.safetensors"):
        found = find_vgg()
        assert (found.path, found.origin) == (cache / expected, f"in {cache}")
        (cache / expected).write_bytes(b"other bytes")
    with pytest.raises(UserError, match="no vgg19 or vgg16"):
        find_vgg()


def test_a_name_means_that_network_alone(cache: Path, known: dict[str, bytes]) -> None:
    (cache / "a19.pth").write_bytes(known["a19.pth"])
    assert find_vgg("vgg19").path.name == "a19.pth"
    with pytest.raises(UserError, match="no vgg16"):
        find_vgg("vgg16")


def test_it_is_downloaded_when_asked_and_checked(
    cache: Path, known: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGAN_DOWNLOAD", "1")
    served = dict(known)

    def get(url: str, **_: Any) -> Any:
        content = served[url.rsplit("/", 1)[1]]
        return types.SimpleNamespace(
            headers={}, raise_for_status=lambda: None, iter_content=lambda chunk_size: [content]
        )

    monkeypatch.setattr(requests, "get", get)
    assert find_vgg().path == cache / "a19.pth"
    (cache / "a19.pth").unlink()
    served["a19.pth"] = b"something else"
    with pytest.raises(UserError, match="other bytes than expected"):
        find_vgg("vgg19")
    assert [path.name for path in cache.iterdir() if path.suffix != ".lock"] == []


@pytest.mark.parametrize("choice", [None, "vgg19", "vgg16", "absent.safetensors"])
def test_when_nothing_is_to_be_had_one_line_says_what_to_do(cache: Path, choice: str | None) -> None:
    with pytest.raises(UserError) as refusal:
        find_vgg(choice)
    message = str(refusal.value)
    assert "\n" not in message
    assert all(
        word in message for word in (["absent", "vgg19"] if choice == "absent.safetensors" else ["dagan fetch vgg16"])
    )


def test_the_known_files_are_checked_by_what_is_published_of_them() -> None:
    assert VGG19.sha256[:8] in VGG19.name  # torchvision's names end with the first digits
    assert VGG16.sha256[:8] in VGG16.name


@pytest.mark.parametrize("plan", [VGG_16, VGG_19], ids=["16", "19"])
def test_torchvisions_own_file_with_its_classifier_is_read(tmp_path: Path, plan: tuple[int, ...]) -> None:
    state = {name: torch.zeros(value.shape) for name, value in VGG(plan).state_dict().items()}
    state["features.0.bias"] += 0.5
    torch.save(state | {"classifier.0.weight": torch.zeros(2, 2)}, tmp_path / "vgg.pth")
    vgg = load_vgg(tmp_path / "vgg.pth")
    assert len(vgg.state_dict()) == len(state)
    assert vgg.features["0"].bias.tolist() == [0.5] * 64


@dataclass
class Payload:
    """What a weights file must not hold."""

    text: str = "boo"


def test_a_file_that_would_run_something_is_refused(tmp_path: Path) -> None:
    torch.save({"features.0.weight": Payload()}, tmp_path / "vgg.pth")
    with pytest.raises(UserError, match=r"not a readable weights file: .*vgg\.pth"):
        load_vgg(tmp_path / "vgg.pth")


def test_a_safetensors_file_of_the_cache_is_loaded(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file(VGG(VGG_16).state_dict(), cache / "small.safetensors")
    digest = hashlib.sha256((cache / "small.safetensors").read_bytes()).hexdigest()
    monkeypatch.setattr(vgg_files, "FILES", {"vgg16": (WeightFile("small.safetensors", digest, "BSD-3-Clause"),)})
    assert isinstance(find_vgg().load(), VGG)
