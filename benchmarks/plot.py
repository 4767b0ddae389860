"""A small SVG writer: horizontal bars with their spread, readable on light and on dark.

One file, no script, no font of its own, so that it shows wherever an image shows. Colours follow the reader's scheme
by a media query. A bar is what kind of server it is (ours, a peer, a reference); a row may have several bars, one for
each series, of which the later ones are paler. The thin line on a bar spans the rounds from lowest to highest.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from html import escape

from benchmarks.summary import Spread, figure


class Kind(StrEnum):
    """Whose bar it is: the picture tells them apart by colour."""

    OURS = "ours"
    PEER = "peer"
    REFERENCE = "reference"


LEGEND = {Kind.OURS: "Clerestory", Kind.PEER: "others", Kind.REFERENCE: "a floor to compare with"}


@dataclass(frozen=True, slots=True)
class Row:
    """One label and its bars, one for each series; None where a series was not measured."""

    label: str
    values: Sequence[Spread | None]
    kind: Kind = Kind.PEER


WIDTH = 940
LABELS = 200
"""Pixels for the labels at least; with longer ones they take more of the width."""
LETTER = 7.6
"""Pixels of a letter of a label, at most, in the fonts that are usual: the picture cannot measure them."""
MARGIN = 28
FIGURES = 64
"""Pixels to the right of the longest bar, for its figure."""
TOP = 118
BAR = 13
GAP = 11
OPACITY = (1.0, 0.55, 0.36, 0.22)

STYLE = """
  text { font-family: system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; fill: #1f2933 }
  .ground { fill: #ffffff } .title { font-size: 20px; font-weight: 650 } .lead, .legend { font-size: 13px }
  .lead, .legend, .tick, .foot { fill: #66727f } .label { font-size: 13px } .tick, .foot { font-size: 11px }
  .figure { font-size: 12px; font-variant-numeric: tabular-nums } .grid { stroke: #e6eaee; stroke-width: 1 }
  .ours { fill: #0c8599 } .peer { fill: #9aa7b4 } .reference { fill: #e8a33d } .strong { font-weight: 650 }
  .span { stroke: #1f2933; stroke-width: 1.2; stroke-opacity: .55 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .ground { fill: #0d1117 } .lead, .legend, .tick, .foot { fill: #8d99a6 }
    .grid { stroke: #222a33 } .ours { fill: #3bc9db } .peer { fill: #5c6b7a } .reference { fill: #f0b85c }
    .span { stroke: #e6edf3 }
  }
"""


def bars(title: str, lead: str, rows: Sequence[Row], series: Sequence[str], unit: str, foot: str = "") -> str:
    """The plot as one SVG document. Raises ValueError when there is nothing to draw."""
    longest = max((value.high for row in rows for value in row.values if value is not None), default=0.0)
    if longest <= 0:
        raise ValueError(f"{title}: no bar to draw")
    step = nice_step(longest)
    left = MARGIN + max(LABELS, round(max(len(row.label) for row in rows) * LETTER) + 10)
    scale = (WIDTH - MARGIN - FIGURES - left) / max(longest, step)
    parts: list[str] = []
    y = float(TOP)
    for row in rows:
        parts += _row(row, y, left, scale)
        y += BAR * len(row.values) + GAP
    grid = _grid(step, longest, left, scale, y - GAP / 2, unit)
    height = y + (56 if foot else 34)
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
        f'height="{height:.0f}" role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{height:.0f}" rx="10"/>',
        f'<text class="title" x="{MARGIN}" y="40">{escape(title)}</text>',
        f'<text class="lead" x="{MARGIN}" y="62">{escape(lead)}</text>',
        *_legend(rows, series),
    ]
    tail = [f'<text class="foot" x="{MARGIN}" y="{height - 16:.0f}">{escape(foot)}</text>'] if foot else []
    return "\n".join([*head, *grid, *parts, *tail, "</svg>"]) + "\n"


def nice_step(longest: float, marks: int = 6) -> float:
    """A round distance between marks (1, 2 or 5 times a power of ten) that gives at most `marks` of them."""
    rough = longest / marks
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


def _row(row: Row, y: float, x: int, scale: float) -> list[str]:
    """One label, right-aligned beside its bars."""
    middle = y + BAR * len(row.values) / 2
    strong = " strong" if row.kind is Kind.OURS else ""
    parts = [
        f'<text class="label{strong}" x="{x - 10}" y="{middle + 4:.1f}" text-anchor="end">{escape(row.label)}</text>'
    ]
    for at, value in enumerate(row.values):
        top = y + BAR * at
        if value is None:
            parts.append(f'<text class="tick" x="{x + 6}" y="{top + BAR - 3:.1f}">not measured</text>')
            continue
        length = max(value.median * scale, 1.0)
        shade = OPACITY[min(at, len(OPACITY) - 1)]
        parts.append(
            f'<rect class="{row.kind}" x="{x}" y="{top + 0.75:.2f}" width="{length:.1f}" height="{BAR - 1.5}" rx="2.5" '
            f'fill-opacity="{shade}"/>'
        )
        if value.high > value.low:
            line = top + BAR / 2
            parts.append(
                f'<line class="span" x1="{x + value.low * scale:.1f}" x2="{x + value.high * scale:.1f}" '
                f'y1="{line:.1f}" y2="{line:.1f}"/>'
            )
        end = x + max(length, value.high * scale) + 7
        parts.append(f'<text class="figure" x="{end:.1f}" y="{top + BAR - 2.5:.1f}">{figure(value.median)}</text>')
    return parts


def _grid(step: float, longest: float, left: int, scale: float, bottom: float, unit: str) -> list[str]:
    """Faint vertical lines at round figures, with the unit under the last."""
    parts = []
    count = int(longest / step + 1e-9)
    for mark in range(count + 1):
        x = left + mark * step * scale
        name = f"{mark * step:,g}" + (f" {unit}" if mark == count else "")
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{bottom:.1f}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 15:.1f}" text-anchor="middle">{escape(name)}</text>')
    return parts


def _legend(rows: Sequence[Row], series: Sequence[str]) -> list[str]:
    """Colours of the kinds that occur, then the shades of the series when there are several."""
    kinds = [kind for kind in Kind if any(row.kind is kind for row in rows)]
    entries = [(str(kind), 1.0, LEGEND[kind]) for kind in kinds] if len(kinds) > 1 else []
    if len(series) > 1:
        shade = str(kinds[0])
        entries += [(shade, OPACITY[min(at, len(OPACITY) - 1)], name) for at, name in enumerate(series)]
    parts, x = [], float(MARGIN)
    for kind, opacity, name in entries:
        parts.append(
            f'<rect class="{kind}" fill-opacity="{opacity}" x="{x:.0f}" y="78" width="12" height="12" rx="2.5"/>'
        )
        parts.append(f'<text class="legend" x="{x + 18:.0f}" y="88.5">{escape(name)}</text>')
        x += 18 + 7.0 * len(name) + 22
    return parts
