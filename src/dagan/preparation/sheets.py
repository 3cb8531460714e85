"""Pages to look at: the statistics of a folder of clips, and contact sheets of what was kept and dropped, and why."""

import html
import io
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dagan.files import write_text
from dagan.images import fitted, save_page
from dagan.preparation.rows import REASONS, SCORES, Row

TILE, GAP, COLUMNS, MOST = 128, 4, 8, 48
TEXT = 11
QUARTILES = (5, 25, 50, 75, 95)
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{padding:.2rem .7rem;text-align:right;border-bottom:1px solid #ddd}"
    "td:first-child,th:first-child{text-align:left}img{max-width:100%}"
)


def contact_sheet(rows: Sequence[Row], thumbnail: Callable[[Row], bytes | None]) -> Image.Image | None:
    """Evenly chosen clips, each with the score that counts below it; None without any picture."""
    chosen = [rows[place] for place in np.linspace(0, len(rows) - 1, min(MOST, len(rows))).round().astype(int)]
    pictures = [(row, content) for row in chosen if (content := thumbnail(row))]
    if not pictures:
        return None
    columns, line = min(COLUMNS, len(pictures)), TEXT + 6
    lines = -(-len(pictures) // columns)
    page = Image.new("RGB", (columns * (TILE + GAP), lines * (TILE + line + GAP)), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(TEXT)
    for place, (row, content) in enumerate(pictures):
        x, y = place % columns * (TILE + GAP), place // columns * (TILE + line + GAP)
        with Image.open(io.BytesIO(content)) as image:
            image.thumbnail((TILE, TILE))
            page.paste(image, (x + (TILE - image.width) // 2, y + (TILE - image.height) // 2))
        pen.text((x + 2, y + TILE + 2), fitted(label(row), font, TILE - 4), "black", font)
    return page


SCORE_OF = {
    "small": "face",
    "uncertain": "confidence",
    "cut_off": "outside",
    "crowd": "crowd",
    "lost": "found",
    "blurred": "sharpness",
    "still": "motion",
    "shaking": "shake",
    "caption": "caption",
    "mixed": "likeness",
    "silent": "sync",
}


def label(row: Row) -> str:
    """What a sheet writes below a clip."""
    if not row.reason:
        return f"{row.person} {row.seconds:.1f} s"
    if row.reason not in SCORE_OF:
        return f"{row.source} {row.start:.1f}-{row.end:.1f} s"
    value = getattr(row, SCORE_OF[row.reason])
    return f"{SCORE_OF[row.reason]} {value:g}, {row.seconds:.1f} s"


def write_pages(rows: Sequence[Row], out: Path, thumbnail: Callable[[Row], bytes | None]) -> None:
    """`index.html` in `out`, and `sheets`/kept.jpg and one for each reason."""
    folder = out / "sheets"
    folder.mkdir(exist_ok=True)
    groups = {"kept": [row for row in rows if not row.reason]}
    groups |= {reason: found for reason in REASONS if (found := [row for row in rows if row.reason == reason])}
    sheets = {}
    for name, members in groups.items():
        page = contact_sheet(members, thumbnail) if members else None
        if page is not None:
            save_page(page, folder / f"{name}.jpg")
            sheets[name] = f"sheets/{name}.jpg"
    for old in folder.glob("*.jpg"):
        if old.stem not in sheets:
            old.unlink()
    write_text(out / "index.html", _page(rows, groups, sheets))


def _page(rows: Sequence[Row], groups: dict[str, list[Row]], sheets: dict[str, str]) -> str:
    kept = groups["kept"]
    people = Counter(row.person for row in kept)
    per_split = [(split, [row for row in kept if row.split == split]) for split in sorted({row.split for row in kept})]
    splits = _table(
        ("split", "clips", "people", "minutes"),
        [(name, len(found), len({row.person for row in found}), _minutes(found)) for name, found in per_split],
    )
    reasons = _table(
        ("", "clips", "minutes", "why"),
        [(name, len(found), _minutes(found), REASONS.get(name, "")) for name, found in groups.items()],
    )
    scores = _table(
        ("score of kept clips", *(f"{quartile} %" for quartile in QUARTILES)),
        [(name, *_quartiles(kept, name)) for name in (*SCORES, "sync")],
    )
    pictures = "".join(
        f'<h2>{name.replace("_", " ")}</h2><p>{REASONS.get(name, "")}</p><img src="{path}" alt="{name}">'
        for name, path in sheets.items()
    )
    title = f"{len(kept)} clips of {len(people)} people, {_minutes(kept)} minutes of {_minutes(rows)}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f"<h1>{title}</h1>{splits}{reasons}{scores}{pictures}</html>\n"
    )


def _minutes(rows: Sequence[Row]) -> str:
    return f"{sum(row.seconds for row in rows) / 60:.1f}"


def _quartiles(rows: Sequence[Row], score: str) -> list[str]:
    values = [value for row in rows if (value := getattr(row, score)) is not None]
    return [f"{value:.3g}" for value in np.percentile(values, QUARTILES)] if values else [""] * len(QUARTILES)


def _table(head: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    def cells(values: Sequence[object], tag: str) -> str:
        return "".join(f"<{tag}>{html.escape(str(value))}</{tag}>" for value in values)

    body = "".join(f"<tr>{cells(line, 'td')}</tr>" for line in lines)
    return f"<table><tr>{cells(head, 'th')}</tr>{body}</table>"
