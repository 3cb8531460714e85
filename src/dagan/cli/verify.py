"""`dagan verify FILE...`: whether this tool made a video or a picture. No finding does not mean that it is real."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagan.cli.progress import Progress

if TYPE_CHECKING:
    from dagan.provenance.grid import Place
    from dagan.provenance.verify import Fit, Part, Verdict

MADE, NOTHING, CONTRADICTED = 0, 3, 4
CHANGED = "changed since it was signed"
STATES = {"trusted": "intact, by a trusted signer", "valid": "intact, by an unknown signer", "invalid": CHANGED}
FINDINGS = {
    "signed": "made by dagan: an intact manifest says so",
    "marked": "made by dagan: the mark was found",
    "tagged": "tags say that dagan made it, and anybody can write tags; no manifest, no mark found",
    "changed": "its manifest does not fit the file; no mark found",
    "nothing": "nothing found, which does not mean that it is real: marks can be removed, and other tools write none",
}
FITS = {
    "same": "the same (manifest)",
    "agrees": "agrees (mark; one in 256 others would, too)",
    "other": "another",
    "unknown": "unknown",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("files", metavar="FILE", type=Path, nargs="+", help="video or picture")
    add("--model", metavar="PATH", type=Path, help="was it made with this model file?")
    add("--source", metavar="PATH", type=Path, help="was it made from this picture (the same file)?")
    add("--trust", metavar="CERTIFICATES.pem", type=Path, help="trust these signers, besides this computer's own")
    add("--json", action="store_true", help="print a list with an object for each file")
    parser.epilog = (
        "Exit code 0: dagan made all files (intact manifest, or mark found); 3: not known of at least one; 4: a "
        "manifest does not fit its file, or --model or --source is another; 2: wrong use."
    )


def run(args: argparse.Namespace) -> int:
    from dagan.files import check_given
    from dagan.provenance.identity import own_root, read_certificates
    from dagan.provenance.recipe import hash_of
    from dagan.provenance.verify import fit, verdict

    for path in args.files:
        check_given(path, "video or picture")
    for path, kind in ((args.model, "model file"), (args.source, "source image")):
        if path is not None:
            check_given(path, kind)
    trusted = (own_root() or b"") + (read_certificates(args.trust) if args.trust else b"")
    asked: "dict[Part, Path | None]" = {"weights": args.model, "source": args.source}
    digests = {part: hash_of(path) for part, path in asked.items() if path is not None}
    reports = []
    for path in args.files:
        with Progress(f"looking for marks in {path}"):
            found = verdict(path, trusted, _squares)
        fits = {part: fit(found, part, digest) for part, digest in digests.items()}
        reports.append(_facts(path, found, fits))
        if not args.json:
            print("\n".join(_lines(path, found, fits)))
    if args.json:
        json.dump(reports, sys.stdout, indent=1)
        print()
    return max(map(_code, reports))


def _code(report: dict[str, Any]) -> int:
    manifest = report["manifest"]
    if (manifest is not None and manifest["state"] == "invalid") or "other" in report["recipe"].values():
        return CONTRADICTED
    return MADE if report["finding"] in ("signed", "marked") else NOTHING


def _facts(path: Path, found: "Verdict", fits: "dict[Part, Fit]") -> dict[str, Any]:
    mark, tags, manifest = found.mark, found.tags, found.manifest
    return {
        "file": str(path),
        "finding": found.finding,
        "manifest": manifest and manifest._asdict(),
        "tags": tags and {"version": tags.version, "mark": tags.mark},
        "mark": mark and {**mark._asdict(), "payload": mark.payload.text, "place": list(mark.place)},
        "recipe": fits,
    }


def _lines(path: Path, found: "Verdict", fits: "dict[Part, Fit]") -> list[str]:
    mark, tags, manifest = found.mark, found.tags, found.manifest
    lines = [f"{path}: {FINDINGS[found.finding]}"]
    if manifest is not None:
        signer = f' ("{manifest.signer}")' if manifest.signer else ""
        lines.append(f"  manifest: {manifest.tool or 'unknown tool'}; {STATES[manifest.state]}{signer}")
    if tags is not None:
        lines.append(f"  tags: dagan {tags.version}, mark {tags.mark}")
    if mark is not None:
        lines.append(
            f"  mark: {mark.payload.text}, {mark.agreement:.0%} of its bits read right in {mark.num_frames} frames; "
            f"an unmarked file reads so with a chance of {mark.chance:.1e}"
        )
    names = {"weights": "model", "source": "source"}
    return lines + [f"  {names[part]}: {FITS[one]}" for part, one in fits.items()]


def _squares(path: Path) -> "Sequence[Place]":
    """The squares that the animator would crop about the faces of a video's or picture's first frames."""
    from itertools import islice

    from dagan.data.decoding import DecodeReport, read_frames
    from dagan.data.pictures import is_picture, read_image
    from dagan.inference.crop import square_crop
    from dagan.inference.face_detector import YuNet
    from dagan.provenance.grid import Place
    from dagan.provenance.reading import reduction

    frame = read_image(path) if is_picture(path) else next(islice(read_frames(path, DecodeReport()), 1))
    height, width = frame.shape[:2]
    scale = reduction(width, height)
    squares = [square_crop(face, (width, height)) for face in YuNet().detect(frame)[:2]]
    return [Place(one.x * scale, one.y * scale, one.size * scale, one.size * scale) for one in squares]
