"""Pictures of single pairs for the report: the best, the median and the worst by a few metrics, made once more."""

import base64
import io
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dagan.data.protocols import Frame, ReenactmentPair
from dagan.errors import UserError
from dagan.evaluation.records import Metric, Sample
from dagan.evaluation.report import Report
from dagan.evaluation.scoring import frame_name
from dagan.evaluation.systems import System
from dagan.evaluation.work import Plan, load_pair

SIDE = 160  # pixels of each picture
QUALITY = 88  # of JPEG
CHOSEN = ("lpips", "l1", "akd", "head_pose_error", "csim", "aucon")  # the first three that were measured
NUM_METRICS = 3


class Example(NamedTuple):
    """A pair that stands for a part of a metric's distribution."""

    metric: Metric
    rank: str
    sample: Sample


class Picture(NamedTuple):
    """An example with its images (source, driving, generated) as data URIs; None where there is none."""

    example: Example
    images: tuple[str | None, str | None, str | None]


def examples(report: Report) -> list[Example]:
    """Best, median and worst measured pair of the first few metrics."""
    by_field = {metric.field: metric for metric in report.metrics()}
    found: list[Example] = []
    for metric in [by_field[field] for field in CHOSEN if field in by_field][:NUM_METRICS]:
        values = [(metric.value(sample.generated), place) for place, sample in enumerate(report.samples)]
        ranked = sorted(
            (value if metric.lower_is_better else -value, place) for value, place in values if value is not None
        )
        if ranked:
            places = (("best", 0), ("median", len(ranked) // 2), ("worst", len(ranked) - 1))
            found += [Example(metric, rank, report.samples[ranked[place][1]]) for rank, place in places]
    return found


def draw_examples(report: Report, plan: Plan, system: System | None = None) -> list[Picture]:
    """The examples' images, made again by the system (None: built from the plan). What cannot be read is left out."""
    wanted = examples(report)
    pairs = _pairs_of([example.sample for example in wanted], plan)
    system, drawn = system or plan.system.build(plan.protocol.rest), {}
    for sample, pair in pairs.items():
        try:
            images = load_pair(pair, plan.protocol.size)
            generated = system.generate(pair, images)
        except UserError:
            continue
        drawn[sample] = (
            data_uri(images.source),
            data_uri(images.driving),
            data_uri(generated) if generated is not None else None,
        )
    return [Picture(example, drawn[example.sample]) for example in wanted if example.sample in drawn]


def _pairs_of(samples: Iterable[Sample], plan: Plan) -> dict[Sample, ReenactmentPair]:
    """The pairs behind records: jobs draw the same ones again."""
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


def data_uri(image: UInt8[np.ndarray, "h w 3"]) -> str:
    """A small JPEG inside an address, so that the page needs no other file."""
    stream = io.BytesIO()
    Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.LANCZOS).save(stream, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
