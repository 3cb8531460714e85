import hashlib
import io
import urllib.request

import pytest

from dagan.data.weight_files import ALEXNET, LPIPS_LINEAR, SFACE, WeightFile, cache_folder, find_weights
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

    def urlopen(url, timeout):
        asked.append(url)
        if url not in answers:
            raise OSError("not there")
        return io.BytesIO(answers[url])

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    answers["asked"] = asked
    return answers


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
    assert sorted(path.name for path in cache.iterdir()) == ["net.onnx"]


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
    for part in ("net.onnx", str(cache), "first.example: not there", "second.example: other bytes", "DAGAN_CACHE"):
        assert part in text
    assert not cache.exists()


def test_nothing_is_fetched_unless_asked_for(cache, served, monkeypatch):
    monkeypatch.delenv("DAGAN_DOWNLOAD")
    with pytest.raises(UserError, match="set DAGAN_DOWNLOAD=1 to download it"):
        find_weights(WANTED)
    assert served["asked"] == []


def test_the_cache_is_in_the_users_cache_folder_unless_told_otherwise(monkeypatch, tmp_path):
    monkeypatch.delenv("DAGAN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "dagan"


def test_every_known_file_has_a_full_hash_and_secure_addresses():
    for file in (SFACE, ALEXNET, LPIPS_LINEAR):
        assert len(bytes.fromhex(file.sha256)) == 32
        assert all(url.startswith("https://") for url in file.downloads)
