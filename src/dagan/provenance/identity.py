"""The key and the certificates that sign what this computer makes; made at first use, readable by their owner only."""

import os
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dagan.errors import UserError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

CERTIFICATE_VARIABLE, KEY_VARIABLE = "DAGAN_CERTIFICATE", "DAGAN_CERTIFICATE_KEY"
FOLDER_VARIABLE = "DAGAN_KEYS"
FILE = "signing.pem"  # the key, its certificate and the root's
LIFETIME = timedelta(days=365 * 30)  # nothing renews it
ORGANIZATION = "dagan on this computer"
MAX_SIZE = 1 << 20  # bytes of a PEM file
_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----\s*", re.DOTALL)


class Identity(NamedTuple):
    """A private key and its chain of certificates (its own first), as PEM."""

    key: bytes
    chain: bytes

    @property
    def root(self) -> bytes:
        """The chain's last certificate: who trusts it trusts the signature."""
        return [block for kind, block in _blocks(self.chain) if kind == b"CERTIFICATE"][-1]


def identity(certificate: Path | None = None, key: Path | None = None) -> Identity | None:
    """The identity in the files given, else in those that the variables name, else this computer's own, which is made
    if there is none yet. None: there is no folder to keep one in.

    Raises:
        UserError: one of the two files without the other, or a file that holds no key or certificate.
    """
    certificate = certificate or _from_environment(CERTIFICATE_VARIABLE)
    key = key or _from_environment(KEY_VARIABLE)
    if (certificate is None) != (key is None):
        raise UserError(
            f"a certificate needs its key: give both (--certificate, --certificate-key, or {CERTIFICATE_VARIABLE}, "
            f"{KEY_VARIABLE}), as PEM files"
        )
    if certificate is not None and key is not None:
        return Identity(_read(key, b"PRIVATE KEY"), _read(certificate, b"CERTIFICATE"))
    own = own_file()
    with suppress(OSError):
        if not own.is_file():
            _keep(own, _made())
        return Identity(_read(own, b"PRIVATE KEY"), _read(own, b"CERTIFICATE"))
    return None


def own_root() -> bytes | None:
    """The root certificate of this computer's identity, None if it has none yet or it cannot be read."""
    with suppress(OSError, UserError):
        return Identity(b"", _read(own_file(), b"CERTIFICATE")).root
    return None


def own_file() -> Path:
    """Where this computer's key is kept: in $DAGAN_KEYS, or among the user's application data."""
    from platformdirs import user_data_path

    return (_from_environment(FOLDER_VARIABLE) or user_data_path("dagan")) / FILE


def read_certificates(path: Path) -> bytes:
    """The certificates of a PEM file. Raises UserError if it has none."""
    return _read(path, b"CERTIFICATE")


def _from_environment(name: str) -> Path | None:
    return Path(os.environ[name]) if os.environ.get(name) else None


def _read(path: Path, kind: bytes) -> bytes:
    """The blocks of a kind ("CERTIFICATE", any "... PRIVATE KEY") in a PEM file."""
    if path != own_file() and not path.is_file():
        raise UserError(f"no such file: {path}; expected a PEM file with a {kind.decode().lower()}")
    with open(path, "rb") as file:
        content = file.read(MAX_SIZE)
    found = b"".join(block.strip() + b"\n" for name, block in _blocks(content) if name.endswith(kind))
    if not found:
        hint = "; remove it to have a new one made" if path == own_file() else ""
        raise UserError(f"{path} holds no {kind.decode().lower()} in PEM{hint}")
    return found


def _blocks(content: bytes) -> list[tuple[bytes, bytes]]:
    return [(match[1], match[0]) for match in _BLOCK.finditer(content)]


def _keep(path: Path, made: bytes) -> None:
    """Writes the file for its owner's eyes only; one that another process made meanwhile is kept. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(made)
        with suppress(FileExistsError):
            os.link(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _made() -> bytes:
    """A new key with its certificate, and the root's, whose own key is forgotten: it signs nothing else."""
    from cryptography.hazmat.primitives import serialization as pem
    from cryptography.hazmat.primitives.asymmetric import ec

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    return private + _certificate("signer", key, root_key) + _certificate("root", root_key, root_key)


def _certificate(name: str, key: "EllipticCurvePrivateKey", issuer_key: "EllipticCurvePrivateKey") -> bytes:
    """As C2PA asks for: a root may sign certificates only, its leaf may sign content only."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    is_root, now = key is issuer_key, datetime.now(UTC)
    usages = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only")
    usage = x509.KeyUsage(
        digital_signature=not is_root,
        key_cert_sign=is_root,
        crl_sign=is_root,
        decipher_only=False,
        **dict.fromkeys(usages, False),
    )
    built = (
        x509.CertificateBuilder()
        .issuer_name(_named("root"))
        .subject_name(_named(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # of clocks that go after
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(is_root, 0 if is_root else None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not is_root:
        purposes = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.EMAIL_PROTECTION])
        built = built.add_extension(purposes, critical=False)
    return built.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _named(name: str) -> "x509.Name":
    from cryptography.x509 import Name, NameAttribute, NameOID

    parts = ((NameOID.ORGANIZATION_NAME, ORGANIZATION), (NameOID.COMMON_NAME, name))
    return Name([NameAttribute(kind, text) for kind, text in parts])
