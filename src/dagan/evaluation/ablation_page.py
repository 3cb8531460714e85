"""The page of an ablation: the paper's Table 4 beside ours, what can be told, curves and pictures."""

from collections import Counter
from pathlib import Path
from typing import Any

from dagan.config import from_plain
from dagan.errors import UserError
from dagan.evaluation.ablation import read_settings
from dagan.evaluation.ablation_facts import costs, facts
from dagan.evaluation.ablation_pictures import draw_curves, draw_grid
from dagan.evaluation.ablation_results import TITLES, Difference, Results, published
from dagan.evaluation.markdown import row
from dagan.evaluation.published import ABSENT, DIGITS, PRMSE_DIGITS
from dagan.evaluation.published import TABLE_4 as PUBLISHED
from dagan.evaluation.records import BY_FIELD
from dagan.evaluation.report import interval_text, number
from dagan.evaluation.tally import Tally
from dagan.files import write_text
from dagan.training.ablation import AblationConfig

SELF_FIELDS = ("l1", "ssim", "psnr", "lpips", "akd", "aed", "head_pose_error")
CURVES, GRID = "curves.png", "grid.jpg"


def write_page(run: Path, page: Path) -> list[Path]:
    """Writes the Markdown page of the runs that are finished, and their pictures into the folder of its name beside it.

    Raises:
        UserError: there is no ablation, or the page's folder does not exist.
    """
    settings = read_settings(run)
    if not page.parent.is_dir():
        raise UserError(f"no such folder: {page.parent}; make it first, or choose another page")
    results = Results(run)
    written = _draw(results, run, settings["examination"], page.parent / page.stem) if results.runs else []
    measured = (_cross_table(results), _self_table(results), _pictures(page.stem)) if results.runs else ()
    parts = (_opening(results, settings), _verdicts(results), *measured, costs(settings), facts(results, settings))
    write_text(page, "\n".join(line for part in parts for line in part) + "\n")
    return [page, *written]


def _draw(results: Results, run: Path, examined: dict[str, Any], folder: Path) -> list[Path]:
    folder.mkdir(exist_ok=True)
    draw_curves(results, folder / CURVES)
    draw_grid(results, run, examined["clips"], examined["size"], folder / GRID)
    return [folder / CURVES, folder / GRID]


def _opening(results: Results, settings: dict[str, Any]) -> list[str]:
    config = from_plain(AblationConfig, settings["training"])
    seeds = Counter(found.cell.variant for found in results.runs)
    runs = ", ".join(f"{TITLES[name]} {count}" for name, count in seeds.items()) or "none yet"
    begun = [
        f"{TITLES[one.cell.variant]} seed {one.cell.seed} ({'trained, not measured' if one.is_trained else one.steps})"
        for one in results.unfinished
    ]
    return [
        "# Table 4, trained and measured again",
        "",
        "<!-- written by `dagan ablate -o RUN --report PAGE`; do not edit -->",
        "",
        f"{len(results.variants)} of the nine variants, {config.widths} widths, {config.budget} of batch "
        f"{config.batch_size} at {config.image_size} pixels each. Runs (seeds) of each variant: {runs}.",
        *(["", f"Begun, steps made in brackets: {', '.join(begun)}. They are in nothing below."] if begun else []),
        "",
    ]


def _verdicts(results: Results) -> list[str]:
    found = results.differences()
    told = [difference for difference in found if difference.is_told]
    lines = ["## What can be told", ""]
    if not found:
        return [*lines, "Nothing yet: no two variants that the paper sets against each other are finished.", ""]
    if told:
        lines += [f"{len(told)} of {len(found)} differences are larger than both kinds of noise:", ""]
        lines += [f"- {_sentence(difference)}" for difference in told]
        lines += ["", "One such verdict in twenty is chance, and a budget this small says little about the paper's."]
    else:
        lines += [
            f"**Nothing.** None of the {len(found)} differences below is larger than both the spread of people and",
            "seed noise. That is a statement about this budget, not about the paper.",
        ]
    ratios = sorted(results.tally(BY_FIELD["l1"], name, "self").ratio or 0.0 for name in results.variants)
    lines += [
        "",
        f"How far training came: in self-reenactment, L1 is {ratios[0]:.2f} to {ratios[-1]:.2f} times that of the",
        "unmoved source. At 1, a model is as good as one that does not move anything.",
        "",
    ]
    return [*lines, *_difference_table(results, found)]


def _difference_table(results: Results, found: list[Difference]) -> list[str]:
    freedom = results.noise(BY_FIELD["head_pose_error"], "cross").freedom
    noise = f"pooled over variants, {freedom} degrees of freedom" if freedom else "which takes two seeds of a variant"
    heads = ["variants", "metric", "paper", "here", "people", "seeds ±", "second is"]
    return [
        "A difference is the second variant's mean minus the first's on the same pairs, a lost face counted as the",
        "worst value seen. *People*: 95 % interval when people are drawn anew. *Seeds*: half the 95 % interval",
        f"(Student's t) from runs that differ in nothing but their seed, {noise}.",
        "",
        row(heads),
        "| --- | --- |" + " ---: |" * 4 + " --- |",
        *map(_difference_line, found),
        "",
    ]


def _sentence(found: Difference) -> str:
    value = f"{found.value:+.{found.metric.decimals}f}"
    metric = f"{found.metric.title} ({found.protocol})"
    return f"{TITLES[found.second]} is {found.verdict} than {TITLES[found.first]} by {metric}: {value}"


def _difference_line(found: Difference) -> str:
    digits, field = found.metric.decimals, found.metric.field
    paper = ABSENT
    if found.protocol == "cross" and field in [name for _, name in PUBLISHED.columns]:
        paper = f"{published(found.second, field) - published(found.first, field):+.3f}"
    return row(
        [
            f"{TITLES[found.first]} → {TITLES[found.second]}",
            f"{found.metric.title}, {found.protocol} {_arrow(found.metric.lower_is_better)}",
            paper,
            f"{found.value:+.{digits}f}",
            interval_text(found.people, digits),
            number(found.seeds, digits),
            found.verdict,
        ]
    )


def _arrow(lower_is_better: bool) -> str:
    return "↓" if lower_is_better else "↑"


def _cross_table(results: Results) -> list[str]:
    """The paper's rows with ours beside each number."""
    heads = ["variant"]
    for heading, _ in PUBLISHED.columns:
        heads += [f"{heading} paper *", "here", "95 % interval"]
    lines = ["## Table 4: cross-identity", "", row(heads), "| --- |" + " ---: |" * (len(heads) - 1)]
    measured = {metric.field for metric in results.measured("cross")}
    for variant in TITLES:
        cells = [TITLES[variant]]
        for _, field in PUBLISHED.columns:
            known = variant in results.variants and field in measured
            tally = results.tally(BY_FIELD[field], variant, "cross") if known else None
            digits = PRMSE_DIGITS if field == "head_pose_error" else DIGITS
            cells += [f"{published(variant, field):.{digits}f}", *_cells(tally)]
        lines.append(row(cells))
    lines.append(row(["*unmoved source*", *_unmoved(results, measured)]))
    return [
        *lines,
        "",
        "\\* The paper's, on VoxCeleb1 and CelebV with other networks for identity, pose and action units: only",
        "differences between rows compare, and those loosely. In brackets: share of the pairs in which a face was",
        "found, where it is not all. Intervals are over people.",
        "",
    ]


def _unmoved(results: Results, measured: set[str]) -> list[str]:
    """What the source image itself would score, in the columns of `_cross_table`."""
    cells: list[str] = []
    for _, field in PUBLISHED.columns:
        found = (
            results.tally(BY_FIELD[field], results.variants[0], "cross").unmoved.compute()
            if field in measured
            else None
        )
        cells += [ABSENT, number(found, BY_FIELD[field].decimals), ABSENT]
    return cells


def _self_table(results: Results) -> list[str]:
    metrics = [metric for metric in results.measured("self") if metric.field in SELF_FIELDS]
    heads = ["variant", *(f"{metric.title} {_arrow(metric.lower_is_better)}" for metric in metrics)]
    lines = ["## Self-reenactment", "", row(heads), "| --- |" + " ---: |" * len(metrics)]
    for variant in results.variants:
        cells = [_cells(results.tally(metric, variant, "self"))[0] for metric in metrics]
        lines.append(row([TITLES[variant], *cells]))
    first = results.variants[0]
    still = [results.tally(metric, first, "self") for metric in metrics]
    lines.append(row(["*unmoved source*", *(number(t.unmoved.compute(), t.metric.decimals) for t in still)]))
    return [*lines, ""]


def _cells(found: Tally | None) -> list[str]:
    """Mean with its coverage, and the interval."""
    if found is None:
        return [ABSENT, ABSENT]
    share = f" ({found.coverage:.0%})" if found.coverage is not None and found.coverage < 1 else ""
    digits = found.metric.decimals
    return [number(found.mean.compute(), digits) + share, interval_text(found.interval, digits)]


def _pictures(folder: str) -> list[str]:
    return [
        "## Learning curves",
        "",
        f"![loss and held-out L1 of each run]({folder}/{CURVES})",
        "",
        "A colour is a variant, a line style a seed.",
        "",
        "## As Fig. 8",
        "",
        f"![source, driving, depth, each variant]({folder}/{GRID})",
        "",
        "The first rows are of one person (the driving frame is the truth), the others of two. No pair was chosen by",
        "its results.",
        "",
    ]
