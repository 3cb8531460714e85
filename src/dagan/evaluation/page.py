"""The report as one HTML file that needs no other: tables, histograms, example pairs, failures."""

import base64
import io
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dagan.data.protocols import Frame, ReenactmentPair
from dagan.errors import UserError
from dagan.evaluation.followed import followed_heads, followed_in, followed_rows
from dagan.evaluation.job import load_pair
from dagan.evaluation.markdown import number
from dagan.evaluation.published import CAVEAT
from dagan.evaluation.records import Metric, Sample
from dagan.evaluation.report import COLUMNS, Report, cells, paper_tables
from dagan.evaluation.run import Plan
from dagan.evaluation.scoring import frame_name
from dagan.evaluation.systems import System

TEMPLATE = "report.html.j2"
LONGEST_LIST = 200  # failures that are listed; the JSON has all
NUM_BINS = 24  # of a histogram
FIGURE_INCHES = (4.4, 1.5)
OURS, STILL, AXIS = "#2563eb", "#9ca3af", "#888888"  # seen on white and on black
PICTURE_SIDE, JPEG_QUALITY = 160, 88
EXAMPLE_METRICS = ("lpips", "l1", "akd", "head_pose_error", "csim", "aucon")  # the first three that were measured
NUM_EXAMPLE_METRICS = 3


class Example(NamedTuple):
    """The best, the median or the worst pair by a metric."""

    metric: Metric
    rank: str
    sample: Sample


class Pictures(NamedTuple):
    """An example's source, driving and generated image, as addresses that hold a JPEG. None: no image was generated."""

    example: Example
    images: tuple[str, str, str | None]

    @property
    def caption(self) -> str:
        metric, rank, sample = self.example
        value = number(metric.value(sample.generated), metric.decimals)
        return f"{metric.title} {value}, {rank}: {sample.source} driven by {sample.driving}"


class Histogram(NamedTuple):
    """A metric's distribution as SVG, and a caption."""

    svg: str
    caption: str


def to_html(report: Report, pictures: Sequence[Pictures] = ()) -> str:
    """The whole page. Names are escaped by the template; only our own SVG is marked as safe there."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(files("dagan.evaluation").joinpath(TEMPLATE).read_text(encoding="utf-8"))
    failures, followed = _failures(report), followed_in(report.samples)
    return template.render(
        report=report,
        columns=COLUMNS,
        rows=[cells(found) for found in report.tallies()],
        followed_heads=followed_heads(followed),
        followed_rows=followed_rows(followed),
        paper_tables=paper_tables(report),
        histograms=[histogram(metric, report) for metric in report.metrics()],
        pictures=pictures,
        failures=failures[:LONGEST_LIST],
        num_failures=len(failures),
        caveat=CAVEAT,
        colours={"ours": OURS, "still": STILL},
    )


def histogram(metric: Metric, report: Report) -> Histogram:
    """Generated images in front of unmoved sources, with the mean of the generated as a line."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    ours, still = (
        [value for sample in report.samples if (value := metric.value(getattr(sample, side))) is not None]
        for side in ("generated", "unmoved")
    )
    if not ours:
        return Histogram("", f"{metric.title}: nothing measured")
    mean = sum(ours) / len(ours)
    bins = np.histogram_bin_edges([*ours, *still], NUM_BINS).tolist()
    figure = Figure(figsize=FIGURE_INCHES, layout="constrained")
    axes = figure.add_subplot()
    axes.hist(still, bins, color=STILL, alpha=0.55, rwidth=0.92)
    axes.hist(ours, bins, color=OURS, alpha=0.65, rwidth=0.92)
    axes.axvline(mean, color=OURS, linestyle="--", linewidth=1)
    axes.tick_params(colors=AXIS, labelsize=7)
    axes.spines[["top", "left", "right"]].set_visible(False)
    axes.spines["bottom"].set_color(AXIS)
    axes.set_yticks([])
    stream = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": metric.field}):  # text as text; the same file every time
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = stream.getvalue()
    caption = f"{metric.title}: mean {number(mean, metric.decimals)}, {len(ours)} of {len(report.samples)} pairs"
    return Histogram(svg[svg.index("<svg") :], caption)


def _failures(report: Report) -> list[str]:
    """Pairs without an image or without a face in it, and clips that gave no pairs."""
    lines = [
        f"{sample.source} driven by {sample.driving}: {'no face in the image' if sample.has_image else 'no image'}"
        for sample in report.failures()
    ]
    return lines + [f"{skipped.clip} skipped: {skipped.reason}" for skipped in report.skipped]


def examples(report: Report) -> list[Example]:
    """Best, median and worst measured pair of the first few metrics."""
    by_field = {metric.field: metric for metric in report.metrics()}
    found: list[Example] = []
    for metric in [by_field[field] for field in EXAMPLE_METRICS if field in by_field][:NUM_EXAMPLE_METRICS]:
        values = [(metric.value(sample.generated), place) for place, sample in enumerate(report.samples)]
        ranked = sorted(
            (value if metric.lower_is_better else -value, place) for value, place in values if value is not None
        )
        if ranked:
            places = (("best", 0), ("median", len(ranked) // 2), ("worst", len(ranked) - 1))
            found += [Example(metric, rank, report.samples[ranked[place][1]]) for rank, place in places]
    return found


def draw_examples(report: Report, plan: Plan, system: System | None = None) -> list[Pictures]:
    """The examples' images, which the system (None: built from the plan) generates again.

    A pair that can no longer be read is left out.
    """
    wanted = examples(report)
    pairs = _pairs_of([example.sample for example in wanted], plan)
    system, drawn = system or plan.system.build(plan.protocol.motion), {}
    for sample, pair in pairs.items():
        try:
            images = load_pair(pair, plan.protocol.size)
            generated = system.generate(pair, images)
        except UserError:
            continue
        drawn[sample] = (
            data_address(images.source),
            data_address(images.driving),
            data_address(generated) if generated is not None else None,
        )
    return [Pictures(example, drawn[example.sample]) for example in wanted if example.sample in drawn]


def _pairs_of(samples: Iterable[Sample], plan: Plan) -> dict[Sample, ReenactmentPair]:
    """The pairs of these records: the jobs draw the same pairs again."""
    wanted = {(sample.source, sample.driving, sample.key): sample for sample in samples}
    names = {name for sample in wanted.values() for name in (sample.source.clip, sample.driving.clip)}
    found: dict[Sample, ReenactmentPair] = {}
    for job in plan.jobs:
        if job.name not in names:
            continue
        try:
            pairs = job.pairs()
        except UserError:
            continue
        for pair in pairs:
            sample = wanted.get((frame_name(pair.source), frame_name(pair.driving), pair.key))
            if sample is not None:
                rest = Frame(pair.driving.clip, sample.rest.frame) if sample.rest is not None else None
                found[sample] = pair._replace(rest=rest)
    return found


def data_address(image: UInt8[np.ndarray, "h w 3"]) -> str:
    """A small JPEG inside an address, so that the page needs no other file."""
    stream = io.BytesIO()
    side = (PICTURE_SIDE, PICTURE_SIDE)
    Image.fromarray(image).resize(side, Image.Resampling.LANCZOS).save(stream, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
