"""`dagan compare FIRST SECOND`: paired differences of two results of `dagan evaluate` on the same pairs."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("first", metavar="FIRST", help="folder written by `dagan evaluate -o`, or its evaluation.json")
    parser.add_argument("second", metavar="SECOND", help="another one; a difference is second minus first")
    parser.add_argument("-o", "--out", metavar="FILE", help="also write the numbers as JSON")


def run(args: argparse.Namespace) -> int:
    from dagan.evaluation.compare import compare
    from dagan.evaluation.report import RESULT, read_report
    from dagan.files import check_output, check_place, write_text

    if args.out:
        check_place(Path(args.out))
        given = [Path(path) for path in (args.first, args.second)]
        check_output(Path(args.out), [*given, *(path / RESULT for path in given)])
    found = compare(read_report(args.first), read_report(args.second))
    print(found.to_markdown(), end="")
    if args.out:
        write_text(Path(args.out), found.to_json())
        print(f"\nwritten: {args.out}")
    return 0
