"""Every number of the pages: evaluates the bundled weights, writes OUT/*.md, and with --write puts them into the pages.

python scripts/results.py ../shared/clips/test -o results --workers 2 --write     (hours on two cores; again: goes on)
python scripts/results.py ../shared/clips/train -o results/quick --quick          (minutes: three clips, one pair each)

What is there already in OUT is not measured again. Speed is measured by benchmarks/, see docs/performance.md.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dagan.cli.main import main as dagan
from dagan.evaluation.followed import followed_heads, followed_in, followed_rows
from dagan.evaluation.markdown import interval_text, number, table
from dagan.evaluation.report import RESULT, Report, over_time, read_report, titled
from dagan.files import write_text

ROOT = Path(__file__).parents[1]
CROSS = ["--protocol", "cross", "--pairs-per-clip", "3", "--landmarks", "dlib68"]
SELF = {
    "self": [],
    "absolute": ["--motion", "absolute"],
    "registered": ["--motion", "registered"],
    "registrations": ["--motion", "registered", "--baseline", "registrations"],
}
RUNS: dict[str, list[str]] = SELF | {  # options of `dagan evaluate CLIPS`, by the folder of the result
    "cross": CROSS,
    "cross_first": [*CROSS, "--rest", "first"],
    "video": ["--protocol", "reconstruction", "--limit", "12"],
    "ghosts": ["--ghosts"],
}
QUICK = {"--limit": "3", "--pairs-per-clip": "1"}
WEIGHTS = ("--identity-weights", "--lpips-weights")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--workers", default="1")
    parser.add_argument("--only", nargs="+", choices=RUNS, default=list(RUNS), help="some of the runs")
    parser.add_argument("--quick", action="store_true", help="three clips, one pair each: to see that all of it works")
    parser.add_argument("--write", action="store_true", help="put the tables into README.md and docs/")
    for weights in WEIGHTS:
        parser.add_argument(weights, help="as of `dagan evaluate`")
    args = parser.parse_args()
    for name in args.only:
        if not measured(args, name):
            return 1
    if any(not finished(args.out / name) for name in RUNS):
        print("some runs are left: " + ", ".join(name for name in RUNS if not finished(args.out / name)))
        return 0
    if "identity" not in read_report(args.out / "cross").observers:
        raise SystemExit("identity was not measured: `dagan fetch sface`, remove OUT and measure again")
    for page, block in BLOCKS.items():
        text = block(args.out)
        write_text(args.out / f"block_{Path(page).stem}.md", text)
        if args.write:
            put_into(ROOT / page, text)
    return 0


def measured(args: argparse.Namespace, name: str) -> bool:
    """Whether a run is there, measured now unless it was."""
    folder = args.out / name
    if finished(folder):
        return True
    folder.mkdir(parents=True, exist_ok=True)
    options = list(RUNS[name])
    if args.quick:
        for option, value in QUICK.items():
            if option in options:
                options[options.index(option) + 1] = value
            elif name != "ghosts" or option == "--limit":
                options += [option, value]
    for weights in WEIGHTS:
        if given := getattr(args, weights.strip("-").replace("-", "_")):
            options += [weights, given]
    command = ["evaluate", args.clips, *options, "--workers", args.workers, "-o", str(folder)]
    print("dagan " + " ".join(command), flush=True)
    return dagan(command) == 0


def finished(folder: Path) -> bool:
    return any((folder / file).is_file() for file in (RESULT, "ghosts.json"))


def readme(out: Path) -> str:
    """The few numbers that say most."""
    same, registered, cross = (read_report(out / name) for name in ("self", "registered", "cross"))
    l1, told, head, csim = same.tally("L1"), registered.tally("L1"), same.tally("head: L1"), cross.tally("CSIM")
    rows = [
        ["Identity kept, another person driving (CSIM; an unmoved photo has 1)", meant(csim), pairs(cross)],
        ["Follows the driver (r), by MediaPipe, which also drives the model", first_follows(cross), pairs(cross)],
        ["The same by dlib, an independent observer", second_follows(cross), pairs(cross)],
        ["L1 to the true frame, as a share of the unmoved photo's", ratio(l1), pairs(same)],
        ["the same inside the head", ratio(head), pairs(same)],
        ["L1 if background and torso are told from the true frame (*registered*)", ratio(told), pairs(registered)],
    ]
    return "\n".join(table(["what", "number", "pairs"], rows, 0))


def numbers_page(out: Path) -> str:
    """All metrics of both protocols."""
    reports = {name: read_report(out / name) for name in RUNS if name != "ghosts"}
    cross, first = reports["cross"], reports["cross_first"]
    followed = followed_in(cross.samples)
    ghosts = json.loads((out / "ghosts" / "ghosts.json").read_text())["summary"]
    spread = tuple(ghosts["left_interval"]) if ghosts["left_interval"] else None
    return "\n".join(
        [
            f"Bundled weights, {cross.protocol.size} x {cross.protocol.size}, commit {commit()}; {pairs(cross)}.",
            "",
            f"**Another person drives** (`{shown('cross')}`): CSIM {meant(cross.tally('CSIM'))};",
            f"with `--rest first` {meant(first.tally('CSIM'))}. Correlation of the result's changes with the driver's:",
            "",
            *table(followed_heads(followed), followed_rows(followed)),
            "",
            f"**The same person drives** (`{shown('self')}`, {pairs(reports['self'])}).",
            "",
            *self_table(*(reports[name] for name in SELF)),
            "",
            "PRMSE as root over the set, in degrees: "
            + "; ".join(f"{name} {number(reports[name].pose_error_of_set().generated, 2)}" for name in SELF)
            + f"; unmoved source {number(reports['self'].pose_error_of_set().unmoved, 2)}.",
            "",
            f"**Over time** (`{shown('video')}`): {over_time(reports['video'].motions)}.",
            "",
            f"**Ghosts** (`{shown('ghosts')}`): {number(ghosts['left'], 3)} of a head is left where it no longer is "
            f"({interval_text(spread, 3)}; {ghosts['num_moved']} heads; unmoved source 1), "
            f"{number(ghosts['left_behind'], 3)} by the stricter outline; "
            f"eaten {number(ghosts['eaten'], 4)}.",
        ]
    )


def self_table(relative: Report, absolute: Report, registered: Report, alone: Report) -> list[str]:
    heads = ["metric", "relative (default)", "95 % interval", "absolute", "registered", "registrations alone"]
    rows = []
    for metric in relative.metrics():
        found = relative.tally(metric.title)
        others = [r.tally(metric.title).mean.compute() for r in (absolute, registered, alone)]
        rows.append(
            [
                f"{titled(metric)}" + (f" ({found.mean.count} pairs)" if metric.shown == "mouth" else ""),
                number(found.mean.compute(), metric.decimals),
                interval_text(found.interval, metric.decimals),
                *(number(value, metric.decimals) for value in others),
                number(found.unmoved.compute(), metric.decimals),
            ]
        )
    return table([*heads, "unmoved source"], rows)


def card(out: Path) -> str:
    """The model card's numbers."""
    same, registered, cross = (read_report(out / name) for name in ("self", "registered", "cross"))
    aed = same.tally("AED")
    rows = [
        ["Another person drives: identity kept (CSIM; an unmoved photo has 1)", meant(cross.tally("CSIM"))],
        ["follows the driver (r) by MediaPipe", first_follows(cross)],
        ["follows the driver (r) by dlib", second_follows(cross)],
        ["Same person drives: L1, share of the unmoved photo's", ratio(same.tally("L1"))],
        ["the same, told how background and torso moved (*registered*)", ratio(registered.tally("L1"))],
        [
            "AED to the true frame (an unmoved photo is *nearer*)",
            f"{number(aed.mean.compute(), 3)} against {number(aed.unmoved.compute(), 3)}",
        ],
    ]
    return "\n".join(table(["", ""], rows, 0))


BLOCKS: dict[str, Callable[[Path], str]] = {
    "README.md": readme,
    "docs/numbers.md": numbers_page,
    "docs/model_card.md": card,
}
BEGIN, END = "<!-- results -->", "<!-- /results -->"


def put_into(page: Path, block: str) -> None:
    """Replaces what stands between the two comments of a page."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"{page} has no {BEGIN} ... {END}")
    write_text(page, f"{before}{BEGIN}\n{block}\n{END}{after}")


def meant(found: Any) -> str:
    digits = found.metric.decimals - 1
    return f"{number(found.mean.compute(), digits)} ({interval_text(found.interval, digits)})"


def ratio(found: Any) -> str:
    return f"{number(found.ratio, 3)} ({number(found.mean.compute(), 4)} of {number(found.unmoved.compute(), 4)})"


def first_follows(report: Report) -> str:
    return follows([(row.name, row.first.value) for row in followed_in(report.samples) if row.second is not None])


def second_follows(report: Report) -> str:
    return follows([(row.name, row.second.value) for row in followed_in(report.samples) if row.second is not None])


def follows(found: Sequence[tuple[str, float | None]]) -> str:
    return ", ".join(f"{name} {number(value, 2)}" for name, value in found)


def pairs(report: Report) -> str:
    people = len({sample.source.identity for sample in report.samples})
    return f"{len(report.samples)} of {people} people"


def shown(name: str) -> str:
    return " ".join(["dagan evaluate CLIPS", *RUNS[name]])


def commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short=7", "HEAD"], cwd=ROOT, capture_output=True, text=True)  # noqa: S607
    return found.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
