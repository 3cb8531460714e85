"""Whether training helped: the model that a run started from and the one it ended with, on the same held-out pairs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from dagan.files import write_text
from dagan.models.family import Family
from dagan.training.panels import write_panel
from dagan.training.run_folder import write_json
from dagan.training.validation import Measure, Pairs, validate

NAME = "before_after"  # of the files in the run folder
NUM_ROWS = 6  # of the picture
PICTURE_SIDE = 192


class Outcome(NamedTuple):
    """Means over held-out pairs. `stopping`: L1 before and after of the pairs by which training stopped; the others are
    of pairs that nothing was chosen by: `l1`, where less is better, and measures, where more is."""

    stopping: tuple[float, float]
    before: Mapping[str, float]
    after: Mapping[str, float]

    @property
    def is_better(self) -> bool:
        """L1 went down on either kind of pairs, and nothing that was measured got worse."""
        lower = self.stopping[1] < self.stopping[0] and self.after["l1"] < self.before["l1"]
        return lower and all(self.after[name] >= value for name, value in self.before.items() if name != "l1")

    @property
    def table(self) -> str:
        """A Markdown table, a line for each number."""
        head = f"| {'held-out frames':<15} | {'before':>8} | {'after':>8} |\n| {'-' * 15} | -------: | -------: |"
        rows = [f"| {name.upper():<15} | {old:8.4f} | {self.after[name]:8.4f} |" for name, old in self.before.items()]
        return "\n".join([head, *rows])


def measure_outcome(
    start: Family, trained: Family, stopping: Pairs, final: Pairs, measures: Mapping[str, Measure]
) -> Outcome:
    """Both models, in evaluation mode and on the device of the pairs; of `measures`, more must be better."""
    old, new = (validate(model, stopping, {})["validation_l1"] for model in (start, trained))
    numbers = [validate(model, final, measures) for model in (start, trained)]
    before, after = ({name: values[f"validation_{name}"] for name in ("l1", *measures)} for values in numbers)
    return Outcome((old, new), before, after)


def write_outcome(folder: Path, outcome: Outcome) -> None:
    """The numbers, for people (.md) and for programs (.json)."""
    write_text(folder / f"{NAME}.md", outcome.table + "\n")
    write_json(
        folder / f"{NAME}.json",
        {
            "kept": "trained" if outcome.is_better else "start",
            "stopping_l1": outcome.stopping,
            "before": dict(outcome.before),
            "after": dict(outcome.after),
        },
    )


def read_outcome(folder: Path) -> Outcome | None:
    """What `write_outcome` wrote, None where it has not or where its file is damaged."""
    try:
        facts = json.loads((folder / f"{NAME}.json").read_bytes())
        old, new = facts["stopping_l1"]
        before = {name: float(value) for name, value in facts["before"].items()}
        after = {name: float(facts["after"][name]) for name in ("l1", *before)}
        return Outcome((float(old), float(new)), before, after)
    except (FileNotFoundError, ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return None


@torch.inference_mode()
def write_picture(folder: Path, start: Family, trained: Family, pairs: Pairs, is_kept: bool) -> Path:
    """Source | driving | before | after of some of the pairs, evenly chosen; gives the file's path."""
    count = len(pairs.source)
    rows = [(2 * i + 1) * count // (2 * min(NUM_ROWS, count)) for i in range(min(NUM_ROWS, count))]
    source, driving = pairs.source[rows], pairs.driving[rows]
    before, after = (model(source, driving).generated for model in (start, trained))
    titles = ["source", "driving", "before", "after" if is_kept else "after, not kept"]
    tiles = list(zip(source, driving, before, after, strict=True))
    write_panel(folder / f"{NAME}.png", tiles, titles, PICTURE_SIDE)
    return folder / f"{NAME}.png"
