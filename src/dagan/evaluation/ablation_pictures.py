"""Pictures of an ablation: learning curves, and the grid of Fig. 8."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dagan.data.clips import find_clips
from dagan.errors import UserError
from dagan.evaluation.ablation_results import TITLES, FinishedRun, Results
from dagan.evaluation.figures import Pair, ablation_row
from dagan.evaluation.job import load_pair
from dagan.evaluation.pairs import Selection, select_pairs
from dagan.files import written_whole
from dagan.images import compose, save_page, to_tensor
from dagan.models.weights import load
from dagan.training.loop import MODEL

NUM_ROWS = 5
NUM_SAME = 2  # of the rows: source and driving frame of one person, so that the truth is beside the results
GRID_SIDE = 128  # pixels
STYLES = ("-", "--", ":", "-.")  # of the seeds


def draw_curves(results: Results, path: Path) -> None:
    """L_P in training, and L1 on held-out people as a share of not moving: a colour a variant, a line style a seed.

    Raises:
        UserError: Matplotlib is missing.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError("learning curves are drawn with Matplotlib: pip install 'dagan[eval]'") from error
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2)
    for axis, field, title in (
        (axes[0], "perceptual", "L_P in training"),
        (axes[1], "validation_l1_ratio", "L1 on held-out people / unmoved source"),
    ):
        for found in results.runs:
            steps, values = _curve(found, field)
            colour = f"C{list(TITLES).index(found.cell.variant)}"
            label = (
                TITLES[found.cell.variant] if found.cell.seed == results.of(found.cell.variant)[0].cell.seed else None
            )
            style = STYLES[found.cell.seed % len(STYLES)]
            axis.plot(steps, values, style, color=colour, linewidth=1.2, marker=".", markersize=3, label=label)
        axis.set_xlabel("steps")
        axis.set_title(title, fontsize=10)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=8, frameon=False)
    with written_whole(path) as partial:
        figure.savefig(partial, dpi=110, format=path.suffix.removeprefix("."))


def _curve(found: FinishedRun, field: str) -> tuple[list[int], list[float]]:
    records: Sequence[dict[str, Any]] = [record for record in found.curve if field in record]
    return [record["step"] for record in records], [record[field] for record in records]


def draw_grid(results: Results, run: Path, clips: str, size: int, path: Path) -> None:
    """Fig. 8: source, driving, depth, then every variant (first seed), on pairs that chance chose."""
    models = {name: load(results.of(name)[0].cell.folder(run) / MODEL) for name in results.variants}
    depths = [model.depth for model in models.values() if model.depth is not None]
    depth = depths[0] if depths else None
    rows = [ablation_row(models, pair, depth) for pair in _pairs(clips, size)]
    titles = [TITLES[name].replace(" w/ ", "\nw/ ") for name in models]
    shown = ["source\nimage", "driving\nimage", *(["source\ndepth"] if depth is not None else [])]
    save_page(compose(rows, [*shown, *titles], side=GRID_SIDE), path)


def _pairs(clips: str, size: int) -> list[Pair]:
    """The first pair of every n-th clip, of one person and then of two."""
    found: list[Pair] = []
    for protocol, count in (("self", NUM_SAME), ("cross", NUM_ROWS - NUM_SAME)):
        jobs, _, _ = select_pairs(Selection(root=clips, protocol=protocol, pairs_per_clip=1, size=size))
        step = max(1, len(find_clips(clips)) // (count + 1))
        for job in jobs[step::step][:count]:
            images = load_pair(job.pairs()[0], size)
            found.append(Pair(to_tensor(images.source), to_tensor(images.driving)))
    return found
