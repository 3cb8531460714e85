import os
import stat
from pathlib import Path

import pytest

from dagan.errors import UserError
from dagan.provenance import identity as module
from dagan.provenance.identity import identity, own_file, own_root


@pytest.fixture
def keys(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("DAGAN_KEYS", str(tmp_path / "keys"))
    return tmp_path / "keys"


def test_the_key_is_made_once_and_only_its_owner_can_read_it(keys):
    first = identity()
    assert identity() == first
    assert stat.S_IMODE(own_file().stat().st_mode) == 0o600
    assert os.listdir(keys) == ["signing.pem"]
    assert own_root() == first.root
    assert first.chain.count(b"BEGIN CERTIFICATE") == 2


def test_without_a_folder_to_keep_a_key_in_nobody_signs(keys):
    keys.write_text("a file")
    assert identity() is None
    assert own_root() is None


def test_a_certificate_without_its_key_is_refused(keys, tmp_path):
    with pytest.raises(UserError, match="needs its key"):
        identity(certificate=tmp_path / "chain.pem")


def test_own_certificates_come_by_option_and_by_variable(keys, tmp_path, monkeypatch):
    made = identity()
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(made.chain)
    key.write_bytes(made.key)
    monkeypatch.setenv("DAGAN_KEYS", str(tmp_path / "none"))
    assert identity(chain, key) == made
    monkeypatch.setenv(module.CERTIFICATE_VARIABLE, str(chain))
    monkeypatch.setenv(module.KEY_VARIABLE, str(key))
    assert identity() == made
    assert not (tmp_path / "none").exists()
    with pytest.raises(UserError, match="holds no private key"):
        identity(chain, chain)


def test_a_damaged_key_file_is_named(keys):
    keys.mkdir()
    own_file().write_text("nothing")
    with pytest.raises(UserError, match="remove it"):
        identity()
