"""The numbers of docs/evaluate.md: evaluates the bundled weights on test clips and writes OUT/results.md.

python scripts/results.py ../shared/clips/test -o results --workers 2      (about 12 minutes on two free cores)
python scripts/results.py ../shared/clips/test -o results --written        (only writes what results/ holds already)
"""

import argparse
import sys
from pathlib import Path

from dagan.cli.main import main as dagan
from dagan.evaluation.markdown import table
from dagan.evaluation.report import COLUMNS, Report, cells, number, read_report
from dagan.files import write_text

CROSS = ["--protocol", "cross", "--motion", "relative", "--pairs-per-clip", "3"]
ARGUMENTS = {
    "self": [],
    "still": ["--still-background"],
    "cross": [*CROSS, "--rest", "best"],
    "cross_first": [*CROSS, "--rest", "first"],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--workers", default="1")
    parser.add_argument("--written", action="store_true", help="do not evaluate; use the results in OUT")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, more in ARGUMENTS.items():
        folder = str(args.out / name)
        if not args.written and dagan(["evaluate", args.clips, *more, "--workers", args.workers, "-o", folder]):
            return 1
    write_text(args.out / "results.md", block(*(read_report(args.out / name) for name in ARGUMENTS)))
    return 0


def block(same_clip: Report, still: Report, cross: Report, cross_first: Report) -> str:
    """The reports' tables and sentences."""
    l1, psnr = still.tally("L1"), still.tally("PSNR")
    # With relative motion the driving frame's own pose and units are not the aim.
    identity = [cross.tally("CSIM")]
    return f"""Made by `python scripts/results.py ../shared/clips/test -o results --workers 2`; `docs/evaluate.md`
defines everything.
Numbers of other papers are measured with other networks and cannot be compared.

**Self-reenactment**: {pairs(same_clip)} of {people(same_clip)} people who were never trained on, frames at least
{same_clip.protocol.min_gap} apart. "Unmoved source" is the score of the source image as it is.

{metrics_table(same_clip.tallies())}

Follows the driver, correlation of changes: {follows(same_clip)}.

Background and torso are registered from both frames, six numbers each. Without (`--still-background`):
L1 {number(l1.mean.compute(), 4)}, ratio {number(l1.ratio, 3)}; PSNR {number(psnr.mean.compute(), 2)} dB.

**Cross-identity**, each clip driven by three other people, motion relative to the driver's frame most like the source,
as in `dagan animate`: {pairs(cross)}.

{metrics_table(identity)}

Follows the driver, correlation of changes: {follows(cross)}.
Relative to the driver's first frame (`--rest first`): {follows(cross_first)}; CSIM {csim(cross_first)}.

"""


def metrics_table(tallies: list) -> str:
    rows = [[*cells(found), str(found.mean.num_missing + found.num_unusable)] for found in tallies]
    return "\n".join(table([*COLUMNS, "not measured"], rows))


def pairs(report: Report) -> str:
    return f"{len(report.samples)} pairs of {len({sample.source.clip for sample in report.samples})} clips"


def people(report: Report) -> int:
    return len({sample.source.identity for sample in report.samples})


def follows(report: Report) -> str:
    found = report.correlations().items()
    return ", ".join(f"{name} {number(c.compute(), 2)} ({c.count} pairs)" for name, c in found)


def csim(report: Report) -> str:
    return number(report.tally("CSIM").mean.compute(), 4)


if __name__ == "__main__":
    sys.exit(main())
