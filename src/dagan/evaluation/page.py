"""The report as one HTML file that needs no other: table, distributions, example pairs, failures."""

from collections.abc import Sequence
from html import escape

from dagan.evaluation.pictures import Picture
from dagan.evaluation.records import Metric
from dagan.evaluation.report import COLUMNS, Report, cells, number, paper_tables
from dagan.evaluation.tally import Tally

NUM_BINS = 24
WIDTH, HEIGHT, MARGIN = 320, 110, 18  # pixels of a histogram; margin below it for the axis
LONGEST_LIST = 200  # failures that are listed one by one

STYLE = """
:root { color-scheme: light dark; --line: #8884; --ours: #2563eb; --still: #9ca3af; --soft: #8881; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .6rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; } .scroll { overflow-x: auto; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } tr.ours td { font-weight: 600; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(320px, 1fr)); gap: 1.2rem; }
figure { margin: 0; } figcaption, .small { font-size: .85rem; opacity: .8; } .pair { display: flex; gap: 2px; }
.pair img, .pair .none { width: 33%; aspect-ratio: 1; object-fit: cover; background: var(--soft); border-radius: 3px; }
.none { display: grid; place-items: center; font-size: .8rem; } svg { width: 100%; height: auto; }
li { margin: .15rem 0; overflow-wrap: anywhere; }
"""


def to_html(report: Report, pictures: Sequence[Picture] = ()) -> str:
    """The whole page."""
    tallies = report.tallies()
    facts = "".join(f"<li>{escape(line.removeprefix('- '))}</li>" for line in report.facts())
    parts = [
        f"<h1>{escape(report.model)}</h1><p>{escape(report.protocol.name)}, {len(report.samples)} pairs</p>",
        f"<h2>Metrics</h2>{_table(tallies)}",
        '<p class="small">Penalised: a lost face counts as the worst value seen (↓) or 0 (↑). Interval: bootstrap '
        "over people. Ratio: against the unmoved source, where both are measured.</p>",
        f"<h2>Beside the paper</h2>{_paper(report)}",
        f'<h2>Distributions</h2><div class="grid">{"".join(histogram(t.metric, report) for t in tallies)}</div>'
        '<p class="small"><span style="color:var(--ours)">■</span> generated '
        '<span style="color:var(--still)">■</span> unmoved source</p>',
        f'<h2>Pairs</h2><p class="small">Source, driving frame, generated.</p>{_pictures(pictures)}',
        f"<h2>Failures</h2>{_failures(report)}",
        f"<h2>How it was measured</h2><ul>{facts}</ul>",
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width, initial-scale=1"><title>{escape(report.model)}: dagan evaluation</title>'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _table(tallies: Sequence[Tally]) -> str:
    rows = [_cells("th", COLUMNS), *(_cells("td", cells(found)) for found in tallies)]
    return f'<div class="scroll"><table>{"".join(rows)}</table></div>'


def _cells(kind: str, texts: Sequence[str], name: str = "") -> str:
    style = f' class="{name}"' if name else ""
    return f"<tr{style}>{''.join(f'<{kind}>{escape(text)}</{kind}>' for text in texts)}</tr>"


def _paper(report: Report) -> str:
    """The Markdown tables as HTML ones; other lines as paragraphs."""
    out: list[str] = []
    rows: list[str] = []
    for line in [*paper_tables([report]), ""]:
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if not set("".join(cells)) <= set("-: "):
                ours = cells[0].startswith("**")
                rows.append(
                    _cells("td" if rows else "th", [cell.strip("*") if ours else cell for cell in cells], "ours" * ours)
                )
            continue
        if rows:
            out.append(f'<div class="scroll"><table>{"".join(rows)}</table></div>')
            rows = []
        if line:
            out.append(
                f"<h3>{escape(line[4:])}</h3>" if line.startswith("### ") else f'<p class="small">{escape(line)}</p>'
            )
    return "".join(out)


def histogram(metric: Metric, report: Report) -> str:
    """A metric's distribution, generated over unmoved, as an SVG figure."""
    ours, still = (
        [value for sample in report.samples if (value := metric.value(getattr(sample, side))) is not None]
        for side in ("generated", "unmoved")
    )
    if not ours:
        return f"<figure><figcaption>{escape(metric.title)}: nothing measured</figcaption></figure>"
    low, high = min(ours + still), max(ours + still)
    if high <= low:
        high = low + 1.0
    shapes = [_bars(still, low, high, "var(--still)", 0.55), _bars(ours, low, high, "var(--ours)", 0.65)]
    axis = HEIGHT - MARGIN
    texts = [
        f'<line x1="0" x2="{WIDTH}" y1="{axis}" y2="{axis}" stroke="var(--line)"/>',
        _text(0, "start", number(low, metric.decimals)),
        _text(WIDTH, "end", number(high, metric.decimals)),
    ]
    mean = sum(ours) / len(ours)
    at = (mean - low) / (high - low) * WIDTH
    texts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{axis}" stroke="var(--ours)" stroke-dasharray="3 3"/>')
    caption = f"{metric.title}: mean {number(mean, metric.decimals)}, {len(ours)} of {len(report.samples)} pairs"
    svg = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(caption)}">{"".join(shapes + texts)}</svg>'
    )
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def _bars(values: Sequence[float], low: float, high: float, colour: str, opacity: float) -> str:
    counts = [0] * NUM_BINS
    for value in values:
        counts[min(int((value - low) / (high - low) * NUM_BINS), NUM_BINS - 1)] += 1
    tallest, wide = max(counts) or 1, WIDTH / NUM_BINS
    bars = []
    for place, count in enumerate(counts):
        tall = count / tallest * (HEIGHT - MARGIN)
        if count:
            bars.append(
                f'<rect x="{place * wide:.1f}" y="{HEIGHT - MARGIN - tall:.1f}" '
                f'width="{wide - 1:.1f}" height="{tall:.1f}"/>'
            )
    return f'<g fill="{colour}" fill-opacity="{opacity}">{"".join(bars)}</g>'


def _text(x: int, anchor: str, text: str) -> str:
    return f'<text x="{x}" y="{HEIGHT - 4}" text-anchor="{anchor}" font-size="11" fill="currentColor">{text}</text>'


def _pictures(pictures: Sequence[Picture]) -> str:
    if not pictures:
        return "<p>None.</p>"
    figures = []
    for (metric, rank, sample), images in pictures:
        shown = "".join(
            f'<img src="{image}" alt="{name}">' if image is not None else '<span class="none">no image</span>'
            for name, image in zip(("source", "driving frame", "generated"), images, strict=True)
        )
        value = number(metric.value(sample.generated), metric.decimals)
        caption = f"{metric.title} {value}, {rank}: {sample.source} driven by {sample.driving}"
        figures.append(f'<figure><div class="pair">{shown}</div><figcaption>{escape(caption)}</figcaption></figure>')
    return f'<div class="grid">{"".join(figures)}</div>'


def _failures(report: Report) -> str:
    """Pairs without an image or without a face in it, and clips that gave no pairs."""
    lines = [
        f"{sample.source} driven by {sample.driving}: {'no face in the image' if sample.has_image else 'no image'}"
        for sample in report.failures()
    ]
    lines += [f"{skipped.clip} skipped: {skipped.reason}" for skipped in report.skipped]
    if not lines:
        return "<p>None.</p>"
    more = f"<li>and {len(lines) - LONGEST_LIST} more, in the JSON file</li>" if len(lines) > LONGEST_LIST else ""
    return f"<p>{len(lines)}:</p><ul>{''.join(f'<li>{escape(line)}</li>' for line in lines[:LONGEST_LIST])}{more}</ul>"
