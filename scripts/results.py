"""The README's results: evaluates the bundled weights on test clips and writes the tables between the README's marks.

python scripts/results.py ../shared/clips/test -o results --workers 2      (about 12 minutes on two free cores)
python scripts/results.py ../shared/clips/test -o results --written        (only writes what results/ holds already)
"""

import argparse
import re
import sys
from pathlib import Path

from dagan.cli.main import main as dagan
from dagan.files import write_text

README = Path(__file__).parents[1] / "README.md"
START, END = "<!-- results -->", "<!-- end of results -->"
CROSS = ["--protocol", "cross", "--motion", "relative", "--pairs-per-clip", "3"]
ARGUMENTS = {
    "self": [],
    "still": ["--still-background"],
    "cross": [*CROSS, "--rest", "best"],
    "cross_first": [*CROSS, "--rest", "first"],
}
GENERATED, RATIO = 2, 7  # columns of a report's table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--workers", default="1")
    parser.add_argument("--written", action="store_true", help="do not evaluate, take what is in OUT")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, more in ARGUMENTS.items():
        folder = str(args.out / name)
        if not args.written and dagan(["evaluate", args.clips, *more, "--workers", args.workers, "-o", folder]):
            return 1
    before, _, rest = README.read_text().partition(START)
    _, _, after = rest.partition(END)
    reports = [(args.out / name / "evaluation.md").read_text() for name in ARGUMENTS]
    write_text(README, before + START + block(*reports) + END + after)
    return 0


def block(self_report: str, still_report: str, cross_report: str, first_report: str) -> str:
    """The reports' tables and sentences."""
    l1, ratio, psnr = value(still_report, "L1"), value(still_report, "L1", RATIO), value(still_report, "PSNR")
    still = f"L1 {l1}, ratio {ratio}; PSNR {psnr} dB"
    rows = cross_report.split("\n\n")[0].splitlines()
    # with relative motion the driving frame's own pose and units are not the aim
    identity = [row for row in rows if row.startswith(("| metric", "| ---", "| CSIM"))]
    return f"""
## Results

Made by `python scripts/results.py ../shared/clips/test -o results --workers 2`; `docs/evaluation.md`
defines everything. Numbers of other papers are measured with other networks and do not compare.

**Self-reenactment**: {pairs(self_report)} of 24 people who were never trained on, frames at least 15
apart. "Unmoved source" is what doing nothing scores.

{self_report.split(chr(10) * 2)[0]}

Follows the driver, correlation of changes: {follows(self_report)}.

Between two frames of one video the model is told how background and torso moved, six numbers each, registered from both
frames (`docs/decisions.md`). Without (`--still-background`): {still}.

**Cross-identity**, each clip driven by three other people, motion relative to the driver's frame most like the source
as in `dagan animate`: {pairs(cross_report)}.

{chr(10).join(identity)}

Follows the driver, correlation of changes: {follows(cross_report)}.
Relative to the driver's first frame (`--rest first`): {follows(first_report)}; CSIM {value(first_report, "CSIM")}.

"""


def value(report: str, metric: str, column: int = GENERATED) -> str:
    return found(rf"(\| {re.escape(metric)} [(↑].*)", report).split("|")[column].strip()


def pairs(report: str) -> str:
    return found(r"(\d+ pairs of \d+ clips)", report)


def follows(report: str) -> str:
    return found(r"- follows the driver, correlation of changes: (.*)", report)


def found(pattern: str, report: str) -> str:
    match = re.search(pattern, report)
    if match is None:
        raise SystemExit(f"the report has nothing like {pattern!r}; evaluate again")
    return match.group(1)


if __name__ == "__main__":
    sys.exit(main())
