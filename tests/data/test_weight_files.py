import hashlib
import os
import types

import pytest
import requests

from dagan.cli.main import main
from dagan.data.weight_files import (
    ALEXNET,
    FETCHABLE,
    LPIPS_LINEAR,
    SFACE,
    VGG16_HALF,
    WeightFile,
    cache_folder,
    find_weights,
    writable_cache,
)
from dagan.errors import UserError

CONTENT = b"weights"
WANTED = WeightFile(
    "net.onnx",
    hashlib.sha256(CONTENT).hexdigest(),
    "MIT",
    ("https://first.example/net.onnx", "https://second.example/net.onnx"),
)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DAGAN_DOWNLOAD", "1")
    return tmp_path / "cache"


@pytest.fixture
def served(monkeypatch):
    """What each address answers; others are not there. The list is of the addresses that were asked."""
    answers: dict[str, bytes] = {}
    asked: list[str] = []

    def get(url, **_):
        asked.append(url)
        if url not in answers:
            raise requests.ConnectionError("not there")
        return types.SimpleNamespace(
            headers={}, raise_for_status=lambda: None, iter_content=lambda chunk_size: [answers[url]]
        )

    monkeypatch.setattr(requests, "get", get)
    answers["asked"] = asked
    return answers


def kept(cache):
    """What a download left, but for its lock."""
    return sorted(path.name for path in cache.iterdir() if not path.name.endswith(".lock"))


def test_a_given_file_or_folder_comes_first_whatever_its_bytes(tmp_path, cache):
    (tmp_path / "net.onnx").write_bytes(b"another network")
    assert find_weights(WANTED, tmp_path / "net.onnx") == find_weights(WANTED, tmp_path) == tmp_path / "net.onnx"
    with pytest.raises(UserError, match="no such weights: absent"):
        find_weights(WANTED, "absent")


def test_the_package_comes_before_the_cache_and_the_cache_before_the_network(tmp_path, cache, served):
    assets = tmp_path / "assets"
    for folder in (assets, cache):
        folder.mkdir()
        (folder / "net.onnx").write_bytes(CONTENT)
    assert find_weights(WANTED, assets=assets).parent == assets
    (assets / "net.onnx").unlink()
    assert find_weights(WANTED, assets=assets).parent == cache
    assert served["asked"] == []


def test_a_download_is_checked_and_kept(cache, served):
    served[WANTED.downloads[0]] = CONTENT
    path = find_weights(WANTED)
    assert path == cache / "net.onnx"
    assert path.read_bytes() == CONTENT
    assert find_weights(WANTED) == path
    assert len(served["asked"]) == 1


def test_the_next_address_is_tried_when_one_gives_other_bytes(cache, served):
    served[WANTED.downloads[0]] = b"<html>please log in</html>"
    served[WANTED.downloads[1]] = CONTENT
    assert find_weights(WANTED).read_bytes() == CONTENT
    assert kept(cache) == ["net.onnx"]


def test_a_damaged_file_in_the_cache_is_fetched_again(cache, served):
    cache.mkdir()
    (cache / "net.onnx").write_bytes(b"torn")
    served[WANTED.downloads[0]] = CONTENT
    assert find_weights(WANTED).read_bytes() == CONTENT


def test_when_nothing_works_one_line_says_what_to_do(cache, served):
    served[WANTED.downloads[1]] = b"other"
    with pytest.raises(UserError) as caught:
        find_weights(WANTED)
    text = str(caught.value)
    assert "\n" not in text
    for part in ("net.onnx", str(cache), "first.example: not there", "second.example: other bytes"):
        assert part in text
    assert kept(cache) == []


@pytest.mark.parametrize("value", [None, "", "0", "no"])
def test_nothing_is_downloaded_unless_asked_for(cache, served, monkeypatch, value):
    monkeypatch.setitem(FETCHABLE, "net", WANTED)
    monkeypatch.delenv("DAGAN_DOWNLOAD")
    if value is not None:
        monkeypatch.setenv("DAGAN_DOWNLOAD", value)
    with pytest.raises(UserError, match=r"is not in .*`dagan fetch net`.*DAGAN_CACHE"):
        find_weights(WANTED)
    assert served["asked"] == []
    assert not cache.exists()


def test_the_fetch_command_downloads_what_it_names(cache, served, monkeypatch, capsys):
    monkeypatch.setitem(FETCHABLE, "net", WANTED)
    monkeypatch.delenv("DAGAN_DOWNLOAD")
    served[WANTED.downloads[0]] = CONTENT
    assert main(["fetch", "net"]) == 0
    assert main(["fetch", "net"]) == 0
    assert capsys.readouterr().out == 2 * f"{cache / 'net.onnx'} (MIT)\n"
    assert served["asked"] == [WANTED.downloads[0]]


def test_the_fetch_command_refuses_what_it_does_not_know_and_what_is_forbidden(cache, served, monkeypatch, capsys):
    monkeypatch.setenv("DAGAN_DOWNLOAD", "0")
    assert main(["fetch", "sface", "resnet"]) == 2
    assert "there are: sface, vgg19, vgg16" in capsys.readouterr().err
    assert main(["fetch", "sface"]) == 2
    assert "DAGAN_DOWNLOAD=0 forbids downloads" in capsys.readouterr().err
    assert served["asked"] == []


def test_a_cache_that_cannot_be_written_ends_a_download_before_it_begins(tmp_path, served, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DAGAN_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setenv("DAGAN_DOWNLOAD", "1")
    with pytest.raises(UserError, match=r"file.cache cannot be written; name another folder in DAGAN_CACHE"):
        find_weights(WANTED)
    assert served["asked"] == []


def test_a_cache_is_made_where_it_can_be_written(cache):
    assert not cache.exists()
    assert writable_cache() == cache
    assert list(cache.iterdir()) == []


def test_there_is_no_cache_where_it_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DAGAN_CACHE", str(tmp_path / "file" / "cache"))
    assert writable_cache() is None


def test_there_is_no_cache_for_a_user_without_a_home(tmp_path, monkeypatch):
    for name in ("DAGAN_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as where the user has no entry
    monkeypatch.chdir(tmp_path)
    assert writable_cache() is None
    assert list(tmp_path.iterdir()) == []


def test_the_cache_is_in_the_users_cache_folder_unless_told_otherwise(monkeypatch, tmp_path):
    monkeypatch.delenv("DAGAN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "dagan"


def test_every_known_file_has_a_full_hash_and_secure_addresses():
    for file in (SFACE, ALEXNET, LPIPS_LINEAR, VGG16_HALF, *FETCHABLE.values()):
        assert len(bytes.fromhex(file.sha256)) == 32
        assert all(url.startswith("https://") for url in file.downloads)
