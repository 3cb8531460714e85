"""Draws the loss curves of runs, one after the other, from their metrics.jsonl.

python scripts/plot_curves.py docs/training/curves.png RUN [RUN ...]
"""

import argparse
import json
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

SKIPPED = {"step", "time", "phase", "samples_per_second"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    args = parser.parse_args()
    mpl.use("agg")
    curves: dict[str, list[tuple[float, float]]] = {}
    hours = 0.0
    for run in args.runs:
        records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        start = records[0]["time"]
        for record in records:
            for name in record.keys() - SKIPPED:
                curves.setdefault(name, []).append((hours + (record["time"] - start) / 3600, record[name]))
        hours += (records[-1]["time"] - start) / 3600
    columns = 4
    rows = -(-len(curves) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4 * columns, 2.6 * rows), squeeze=False)
    for axis, (name, points) in zip(axes.flat, sorted(curves.items()), strict=False):
        axis.plot(*zip(*points, strict=True), linewidth=1)
        axis.set_title(name, fontsize=9)
        axis.set_xlabel("hours", fontsize=8)
    for axis in axes.flat[len(curves) :]:
        axis.axis("off")
    figure.tight_layout()
    args.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.output, dpi=70)


if __name__ == "__main__":
    main()
