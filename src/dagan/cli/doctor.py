"""`dagan doctor`: each face observer on the bundled photo, with its version and the hash of its weights."""

import argparse
from pathlib import Path

from dagan.cli.evaluate import add_evaluator_arguments, evaluator_config
from dagan.errors import UserError

PICTURE = "doctor.png"
UNHEALTHY = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--out", metavar="FILE", default=PICTURE, help=f"picture with landmarks drawn (default: {PICTURE})"
    )
    add_evaluator_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """0 when everything is here and measures; 1 otherwise."""
    out = Path(args.out)
    if not out.parent.is_dir():
        raise UserError(f"no such folder: {out.parent}; make it first, or choose another -o")
    if out.suffix.lower() != ".png":
        raise UserError(f"{out}: the picture is a .png")
    from PIL import Image

    from dagan.evaluation.doctor import diagnose

    with evaluator_config(args).build() as evaluator:
        diagnosis = diagnose(evaluator)
        versions, unavailable = evaluator.versions(), evaluator.unavailable
    for name, text, is_good in diagnosis.findings:
        print(f"{'ok     ' if is_good else 'PROBLEM'} {name}: {text}")
        if name in versions:
            seen = versions[name]
            print(f"        {seen.name}, {seen.software}, weights sha256 {seen.weights_sha256}")
    for line in unavailable:
        print(f"        {line}")
    Image.fromarray(diagnosis.picture).save(out)
    print(f"written: {out}")
    return 0 if all(finding.is_good for finding in diagnosis.findings) else UNHEALTHY
