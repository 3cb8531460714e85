"""`--no-mark`, `--label` and the certificate, the same for every command that writes what the model drew."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dagan.errors import UserError

if TYPE_CHECKING:
    from dagan.inference.animator import Animator
    from dagan.provenance.identity import Identity
    from dagan.provenance.stamp import Stamp

WORD = "AI-generated"


def add_mark_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--no-mark",
        action="store_true",
        help="write neither the invisible mark nor tags nor a signed manifest: nothing then says that it is synthetic",
    )
    add(
        "--label",
        metavar="WORD",
        nargs="?",
        const=WORD,
        help=f"write a visible word into the lower left corner (default {WORD}), for those who must tell viewers",
    )
    add(
        "--certificate",
        metavar="CHAIN.pem",
        type=Path,
        help="sign the manifest with this chain of certificates (or $DAGAN_CERTIFICATE), not with this computer's own",
    )
    add("--certificate-key", metavar="KEY.pem", type=Path, help="its private key (or $DAGAN_CERTIFICATE_KEY)")


def identity_of(args: argparse.Namespace) -> "Identity | None":
    """Who signs; None: nobody, which is said in a line.

    Raises:
        UserError: options that exclude each other, a file that cannot be used, or a certificate without its key.
    """
    if args.no_mark:
        if args.label or args.certificate or args.certificate_key:
            raise UserError("--no-mark leaves out what --label and --certificate ask for: choose one")
        _say("--no-mark: nothing in the output says that it is synthetic; say so where you show it")
        return None
    from dagan.provenance.identity import identity, own_file

    try:
        found = identity(args.certificate, args.certificate_key)
    except ImportError as error:
        _say(f"no signed manifest, only mark and tags: {error.name} is not installed; pip install c2pa-python")
        return None
    if found is None:
        where = own_file().parent
        _say(
            f"no signed manifest, only mark and tags: no signing key can be kept in {where}; set DAGAN_KEYS to another "
            "folder, or DAGAN_CERTIFICATE and DAGAN_CERTIFICATE_KEY"
        )
    return found


def stamp_of(
    args: argparse.Namespace,
    signer: "Identity | None",
    settings: Mapping[str, object],
    animator: "Animator",
    quarter: int,
) -> "Stamp | None":
    """What marks the pictures that `args` (source, driving, model) asks for, in the square that moves; None with
    --no-mark. They are the animator's, turned back by `quarter`.
    """
    if args.no_mark:
        return None
    from dagan.inference.crop import turn_crop
    from dagan.inference.quarter_turn import turn_size
    from dagan.models.weights import model_file
    from dagan.provenance.recipe import Recipe, hash_of
    from dagan.provenance.stamp import stamp

    with model_file(args.model) as weights:
        stated = {name: str(value) for name, value in settings.items()}
        recipe = Recipe(hash_of(weights), hash_of(args.source), hash_of(args.driving), stated)
    square = turn_crop(animator.square, animator.picture_size, -quarter)
    return stamp(recipe, turn_size(animator.picture_size, -quarter), square, signer, args.label)


def _say(line: str) -> None:
    print(f"dagan: {line}", file=sys.stderr)
