"""C2PA manifests: a signed statement inside of a file of what made it. Nothing is fetched, nothing is sent."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dagan.errors import UserError
from dagan.provenance.identity import Identity
from dagan.provenance.recipe import SOURCE_TYPE, TOOL_NAME, Recipe

RECIPE = "dagan.recipe"  # the label of our own statement
TYPES = {  # what a manifest can be put into, of what we write and what people send
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".avi": "video/avi",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".heic": "image/heic",
    ".avif": "image/avif",
}
OFFLINE = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}


class Manifest(NamedTuple):
    """What a file's manifest says. `state`: "trusted" (intact, signed by a certificate that the reader trusts), "valid"
    (intact, by somebody unknown) or "invalid" (file or manifest were changed). `recipe` is empty in those of others."""

    state: str
    signer: str | None
    tool: str | None
    source_type: str | None
    recipe: Mapping[str, Any]


def can_carry(path: Path) -> bool:
    """Whether a file with this name can hold a manifest: MKV, WebM and raw streams cannot."""
    return path.suffix.lower() in TYPES


def sign(written: Path, target: Path, recipe: Recipe, identity: Identity, name: str) -> None:
    """Writes to `target` what is in `written`, with a signed manifest; `name` is the name that the file will have.

    Raises:
        UserError: the certificate does not suit C2PA, or the file cannot be read or written.
    """
    import c2pa

    info = c2pa.C2paSignerInfo(_algorithm(identity.key), identity.chain, identity.key, None)  # None: no time stamps
    try:
        signer = c2pa.Signer.from_info(info)
        context = c2pa.Context(c2pa.Settings.from_dict(OFFLINE), signer)
        builder = c2pa.Builder(_definition(recipe, name), context)
        with builder, open(written, "rb") as source, open(target, "w+b") as result:
            builder.sign(TYPES[Path(name).suffix.lower()], source, result)
    except c2pa.C2paError as error:
        raise UserError(f"cannot sign {name}: {_one_line(error)}") from error


def read_manifest(path: Path, trusted: bytes = b"") -> Manifest | None:
    """What the manifest of a file says, None if it has none. `trusted`: certificates (PEM) whose signatures count."""
    import c2pa

    anchors = {"trust": {"user_anchors": trusted.decode()}} if trusted else {}
    context = c2pa.Context(c2pa.Settings.from_dict({**OFFLINE, **anchors}))
    try:
        with open(path, "rb") as file, c2pa.Reader(_type_of(path), file, context=context) as reader:
            return _summary(json.loads(reader.json()), reader.get_validation_state() or "Invalid")
    except c2pa.C2paError.ManifestNotFound:
        return None
    except c2pa.C2paError.NotSupported:
        return None
    except c2pa.C2paError:  # bytes that are no manifest any more
        return Manifest("invalid", None, None, None, {})


def _definition(recipe: Recipe, name: str) -> dict[str, Any]:
    tool = {"name": TOOL_NAME, "version": recipe.version}
    created = {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE, "softwareAgent": tool}
    stated = {**recipe._asdict(), "settings": dict(recipe.settings), "mark": recipe.payload.text}
    return {
        "claim_generator_info": [tool],
        "title": name,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [created]}},
            {"label": RECIPE, "data": stated},
        ],
    }


def _summary(store: dict[str, Any], state: str) -> Manifest:
    active = store["manifests"][store["active_manifest"]]
    said = {one["label"]: one.get("data", {}) for one in active.get("assertions", [])}
    actions = said.get("c2pa.actions.v2", said.get("c2pa.actions", {})).get("actions", [])
    tool = (active.get("claim_generator_info") or [{}])[0]
    return Manifest(
        state.lower(),
        active.get("signature_info", {}).get("issuer"),
        " ".join(filter(None, (tool.get("name"), tool.get("version")))) or None,
        next((action["digitalSourceType"] for action in actions if "digitalSourceType" in action), None),
        said.get(RECIPE, {}),
    )


def _type_of(path: Path) -> str:
    return TYPES.get(path.suffix.lower(), "application/octet-stream")


def _algorithm(key: bytes) -> bytes:
    """C2PA's name for the kind of signature that a private key makes. Raises UserError for a kind it does not have."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private = load_pem_private_key(key, None)
    except (ValueError, TypeError) as error:
        raise UserError("the certificate's key cannot be read: give it as PEM without a password") from error
    if isinstance(private, ec.EllipticCurvePrivateKey):
        names = {256: b"es256", 384: b"es384", 521: b"es512"}
        if private.curve.key_size in names:
            return names[private.curve.key_size]
    if isinstance(private, rsa.RSAPrivateKey):
        return b"ps256"
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return b"ed25519"
    raise UserError("C2PA cannot use the certificate's kind of key: use P-256, P-384, P-521, Ed25519 or RSA")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
