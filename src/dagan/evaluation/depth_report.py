"""The tables of `dagan evaluate-depth`, as text and as JSON."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dagan.evaluation.depth_clips import ClipsReport
from dagan.evaluation.depth_heads import HeadsReport
from dagan.evaluation.depth_metrics import DepthScores
from dagan.files import write_text

HEAD_COLUMNS = dict(
    zip(
        DepthScores._fields,
        ("AbsRel", "SI-RMSE", "d<1.25", "ordinal", "rank corr.", "normals (deg)"),
        strict=True,
    )
)


def heads_table(report: HeadsReport) -> str:
    """Markdown: one row a method, then the poses."""
    rows = [[name, *(f"{value:.4f}" for value in scores)] for name, scores in report.depth.items()]
    depth = table(["on the head", *HEAD_COLUMNS.values()], rows)
    poses = [
        [str(p.gap), f"{p.truth:.2f}", f"{p.no_motion:.2f}", _optional(p.network), f"{p.aligned:.2f}"]
        for p in report.poses
    ]
    titles = ["frames apart", "true turn (deg)", "error: no motion", "error: F_p", "error: aligned with F_d"]
    return f"{depth}\n\n{table(titles, poses)}"


def clips_table(report: ClipsReport) -> str:
    """Markdown: one row a method; shares are of frames with a face."""
    titles = ["nose tip nearer than", "eyes", "ears", "background", "all three", "nearer eye", "nearer ear"]
    names = ("eyes", "ears", "background", None, "each_eye", "each_ear")
    rows = []
    for method, shares in report.order.items():
        values = [report.nearer_than_all[method] if name is None else shares[name] for name in names]
        rows.append([method, *(_percent(value) for value in values)])
    unmoved = f"{report.unmoved:.4f}"
    others = [
        [name, f"{report.inconsistency[name]:.4f}", f"{report.reprojected[name]:.4f}", unmoved] for name in report.order
    ]
    more = table(["method", "landmarks across views", "P_e reprojected", "P_e unmoved"], others)
    return f"{table(titles, rows)}\n\n{more}"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_json(path: Path, facts: Mapping[str, Any]) -> None:
    """Whole or not at all."""
    write_text(path, json.dumps(plain(facts), indent=2) + "\n")


def plain(value: Any) -> Any:
    """Named tuples as objects; a number that is none as null."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _optional(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
