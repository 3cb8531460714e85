"""The published rows of the paper's Tables 1 to 4, with rows of ours below them."""

from collections.abc import Mapping
from typing import NamedTuple

from dagan.evaluation.markdown import ABSENT

DIGITS, PRMSE_DIGITS = 3, 2  # as printed in the paper
CAVEAT = (
    "Rows marked * cannot be set beside ours: they were measured on VoxCeleb1 (Tables 1, 2) and CelebV (Tables 3, 4), "
    "and with other networks for landmarks, identity, pose and action units."
)


class PaperTable(NamedTuple):
    """A table of the paper: fields of `Scores` by column, and the published rows."""

    number: int
    title: str
    columns: tuple[tuple[str, str], ...]  # heading, field
    rows: tuple[tuple[str, tuple[float, ...]], ...]


_CROSS = (("CSIM ↑", "csim"), ("PRMSE ↓", "head_pose_error"), ("AUCON ↑", "aucon"))
TABLE_1 = PaperTable(
    1,
    "self-reenactment",
    (
        ("CSIM ↑", "csim"),
        ("SSIM ↑", "ssim"),
        ("PSNR ↑", "psnr"),
        ("PRMSE ↓", "head_pose_error"),
        ("AUCON ↑", "aucon"),
    ),
    (
        ("X2face", (0.689, 0.719, 22.537, 3.26, 0.813)),
        ("NeuralHead-FF", (0.229, 0.635, 20.818, 3.76, 0.719)),
        ("MarioNETte", (0.755, 0.744, 23.244, 3.13, 0.825)),
        ("FOMM", (0.813, 0.723, 30.394, 3.20, 0.886)),
        ("MeshG", (0.822, 0.739, 30.394, 3.20, 0.887)),
        ("OSFV", (0.895, 0.761, 30.695, 1.64, 0.921)),
        ("DaGAN", (0.899, 0.804, 31.220, 1.22, 0.939)),
    ),
)
TABLE_2 = PaperTable(
    2,
    "self-reenactment, keypoint-based methods",
    (("L1 ↓", "l1"), ("AKD ↓", "akd"), ("AED ↓", "aed")),
    (
        ("X2face", (0.078, 7.687, 0.405)),
        ("Monkey-Net", (0.049, 1.878, 0.199)),
        ("FOMM", (0.043, 1.294, 0.140)),
        ("OSFV", (0.043, 1.620, 0.153)),
        ("DaGAN", (0.036, 1.279, 0.117)),
    ),
)
TABLE_3 = PaperTable(
    3,
    "cross-identity reenactment",
    _CROSS,
    (
        ("X2face", (0.450, 3.62, 0.679)),
        ("NeuralHead-FF", (0.108, 3.30, 0.722)),
        ("MarioNETte", (0.520, 3.41, 0.710)),
        ("FOMM", (0.462, 3.90, 0.667)),
        ("MeshG", (0.635, 3.41, 0.709)),
        ("OSFV", (0.791, 3.15, 0.805)),
        ("DaGAN", (0.723, 2.33, 0.873)),
    ),
)
TABLE_4 = PaperTable(
    4,
    "ablation, cross-identity",
    _CROSS,
    (
        ("Baseline", (0.688, 5.39, 0.657)),
        ("Baseline w/ FDN", (0.710, 2.69, 0.852)),
        ("Baseline w/ CAM", (0.698, 2.56, 0.838)),
        ("Ours (SA)", (0.681, 5.18, 0.832)),
        ("DaGAN", (0.723, 2.33, 0.873)),
        ("FOMM", (0.462, 3.90, 0.667)),
        ("FOMM w/ FDN", (0.695, 2.81, 0.812)),
        ("FOMM w/ CAM", (0.669, 2.36, 0.821)),
        ("FOMM w/ FDN+CAM", (0.716, 2.28, 0.865)),
    ),
)
SELF_TABLES, CROSS_TABLES = (TABLE_1, TABLE_2), (TABLE_3, TABLE_4)


class Row(NamedTuple):
    """A row of a table beside the paper's: published rows are marked with a star."""

    name: str
    texts: tuple[str, ...]
    is_ours: bool


def rows_beside(table: PaperTable, ours: Mapping[str, Mapping[str, str]]) -> list[Row]:
    """The published rows, then ours by name, each given as texts by field of `Scores`."""
    digits = [PRMSE_DIGITS if field == "head_pose_error" else DIGITS for _, field in table.columns]
    published = [
        Row(f"{name} *", tuple(f"{value:.{n}f}" for value, n in zip(values, digits, strict=True)), False)
        for name, values in table.rows
    ]
    return published + [
        Row(name, tuple(texts.get(field, ABSENT) for _, field in table.columns), True) for name, texts in ours.items()
    ]
