"""The plots of the labs: lines with their names at their ends, and what happened on a common time axis.

They stand beside the horizontal bars of `benchmarks.plot`, whose look they share: one file each, no script, no font of
its own, colours by the reader's scheme. A plot is for one look from the last row of a lecture room: few marks, no
legend to be searched where the name can stand beside what it names.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from html import escape

from benchmarks.plot import STYLE, WIDTH, nice_step

MARGIN = 28
PLOT_HEIGHT = 320
LEFT = 84
"""Pixels for the figures of the upright axis."""
NAMES = 190
"""Pixels to the right of the lines, for their names."""
TOP = 96
LINE = 17
"""Pixels that two names keep apart."""
LANE, BAND = 34, 20
"""Pixels of a lane of the timeline, and of the bands in it."""


class Tone(StrEnum):
    """What a line, a band or a mark is; the scheme gives it its colour."""

    OURS = "t-ours"
    """The way that the lab leads to, or work that goes well."""
    WARM = "t-warm"
    """What it is compared with, or what goes wrong."""
    THIRD = "t-third"
    FOURTH = "t-fourth"
    QUIET = "t-quiet"
    """Waiting, and whatever is only there for comparison."""


TONES = """
  .t-ours { color: #0c8599 } .t-warm { color: #d9480f } .t-third { color: #6741d9 } .t-fourth { color: #2b8a3e }
  .t-quiet { color: #9aa7b4 } .axis { font-size: 12px; fill: #66727f } text.name { font-size: 13px; fill: currentColor }
  .line { fill: none; stroke: currentColor; stroke-width: 2.6; stroke-linejoin: round; stroke-linecap: round }
  .dot { fill: currentColor; stroke: #ffffff; stroke-width: 1.6 } .band { fill: currentColor }
  .inside { font-size: 11px; fill: #ffffff; font-weight: 600 } .leader { stroke: currentColor; stroke-opacity: .35 }
  .mark { stroke: currentColor; stroke-width: 2; fill: none } text.name, .inside { font-variant-numeric: tabular-nums }
  @media (prefers-color-scheme: dark) {
    .t-ours { color: #3bc9db } .t-warm { color: #ff922b } .t-third { color: #b197fc } .t-fourth { color: #69db7c }
    .t-quiet { color: #6b7a89 } .axis { fill: #8d99a6 } .dot { stroke: #0d1117 } .inside { fill: #0d1117 }
  }
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its name stands at its right end. Points are in the order of x; a line may have a single one."""

    name: str
    points: Sequence[tuple[float, float]]
    tone: Tone = Tone.OURS


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis: its label (with the unit), and whether it is logarithmic. A linear one begins at 0."""

    label: str
    log: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """Something that lasted, in seconds from the timeline's beginning; with `text` in it, where it fits."""

    start: float
    end: float
    tone: Tone = Tone.OURS
    text: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """One row of a timeline: a client, a thread, a descriptor. `marks` are moments; `arrivals`, too, drawn as arrows
    from above, so that both can be seen when they are the same moment."""

    name: str
    spans: Sequence[Span] = ()
    marks: Sequence[tuple[float, Tone]] = ()
    arrivals: Sequence[tuple[float, Tone]] = ()


@dataclass(frozen=True, slots=True)
class _Scale:
    """From values to pixels."""

    low: float
    high: float
    start: float
    end: float
    log: bool

    def at(self, value: float) -> float:
        if self.log:
            part = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)

    def ticks(self) -> list[float]:
        if not self.log:
            step = nice_step(self.high)
            return [step * count for count in range(int(self.high / step + 1e-9) + 1)]
        first, last = round(math.log10(self.low)), math.floor(math.log10(self.high) + 1e-9)
        factors = (1, 2, 5) if self.high / self.low < 100 else (1,)
        found = (factor * 10.0**power for power in range(first, last + 1) for factor in factors)
        return [tick for tick in found if tick <= self.high * (1 + 1e-9)]


def lines(title: str, lead: str, plotted: Sequence[Line], x: Axis, y: Axis, foot: str = "") -> str:
    """Lines over two axes as one SVG document. Raises ValueError when there is nothing to draw."""
    plotted = [line for line in (_to_be_seen(line, x, y) for line in plotted) if line.points]
    points = [point for line in plotted for point in line.points]
    if not points:
        raise ValueError(f"{title}: no line to draw")
    right = WIDTH - MARGIN - NAMES
    across = _scale([at for at, _ in points], LEFT + MARGIN, right, x.log)
    up = _scale([value for _, value in points], TOP + PLOT_HEIGHT, TOP, y.log)
    parts = _grid_across(across, TOP, TOP + PLOT_HEIGHT, x.label) + _grid_up(up, LEFT + MARGIN, right, y.label)
    for line in plotted:
        parts += _line(line, across, up)
    parts += _names(plotted, across, up, right + 14)
    return _document(title, lead, parts, TOP + PLOT_HEIGHT + 62, foot)


def timeline(title: str, lead: str, lanes: Sequence[Lane], foot: str = "", key: Sequence[tuple[Tone, str]] = ()) -> str:
    """Lanes over one time axis as one SVG document. `key` says what the tones mean. Raises ValueError without lanes."""
    ends = [span.end for lane in lanes for span in lane.spans]
    ends += [at for lane in lanes for at, _ in (*lane.marks, *lane.arrivals)]
    if not ends:
        raise ValueError(f"{title}: nothing has happened")
    left = MARGIN + round(max(len(lane.name) for lane in lanes) * 7.6) + 16
    millis = max(ends) < 1.0
    across = _Scale(0.0, max(ends), left, WIDTH - MARGIN - 30, log=False)
    top = TOP + (26 if key else 0)
    bottom = top + LANE * len(lanes)
    ticks = _Scale(0.0, max(ends) * (1000 if millis else 1), left, WIDTH - MARGIN - 30, log=False)
    parts = _grid_across(ticks, top - 6, bottom, "milliseconds" if millis else "seconds")
    parts += _key(key)
    for at, lane in enumerate(lanes):
        parts += _lane(lane, top + LANE * at, left, across)
    return _document(title, lead, parts, bottom + 62, foot)


def _to_be_seen(line: Line, x: Axis, y: Axis) -> Line:
    """The line without what a logarithmic axis has no place for."""
    points = [(at, value) for at, value in line.points if (at > 0 or not x.log) and (value > 0 or not y.log)]
    return Line(line.name, points, line.tone)


def _scale(values: Sequence[float], start: float, end: float, log: bool) -> _Scale:
    """A scale that begins and ends at round figures."""
    if log:
        floor = 10.0 ** math.floor(math.log10(min(value for value in values if value > 0)) + 1e-9)
        power = 10.0 ** math.floor(math.log10(max(values)) + 1e-9)
        ceiling = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= max(values) * (1 - 1e-9))
        return _Scale(floor, max(ceiling, floor * 10), start, end, log)
    highest = max(values) or 1.0
    step = nice_step(highest)
    return _Scale(0.0, math.ceil(highest / step - 1e-9) * step, start, end, log)


def _document(title: str, lead: str, parts: Sequence[str], height: float, foot: str) -> str:
    height += 18 if foot else 0
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
        f'height="{height:.0f}" role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}{TONES}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{height:.0f}" rx="10"/>',
        f'<text class="title" x="{MARGIN}" y="40">{escape(title)}</text>',
        f'<text class="lead" x="{MARGIN}" y="62">{escape(lead)}</text>',
    ]
    tail = [f'<text class="foot" x="{MARGIN}" y="{height - 16:.0f}">{escape(foot)}</text>'] if foot else []
    return "\n".join([*head, *parts, *tail, "</svg>"]) + "\n"


def _figure(tick: float) -> str:
    """A round figure, in full: `0.05`, `100`, `1,000,000`."""
    return f"{tick:,.0f}" if tick >= 1 and tick == round(tick) else f"{tick:g}"


def _grid_across(scale: _Scale, top: float, bottom: float, label: str) -> list[str]:
    """Upright lines at round figures of the lower axis, and its label."""
    parts = []
    for tick in scale.ticks():
        x = scale.at(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>')
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{bottom + 17:.1f}" text-anchor="middle">{_figure(tick)}</text>'
        )
    middle = (scale.start + scale.end) / 2
    parts.append(
        f'<text class="axis" x="{middle:.1f}" y="{bottom + 38:.1f}" text-anchor="middle">{escape(label)}</text>'
    )
    return parts


def _grid_up(scale: _Scale, left: float, right: float, label: str) -> list[str]:
    """Level lines at round figures of the upright axis, and its label, turned."""
    parts = []
    for tick in scale.ticks():
        y = scale.at(tick)
        parts.append(f'<line class="grid" x1="{left:.1f}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{left - 9:.1f}" y="{y + 4:.1f}" text-anchor="end">{_figure(tick)}</text>')
    middle = (scale.start + scale.end) / 2
    turned = f'transform="rotate(-90 {MARGIN + 8} {middle:.1f})"'
    parts.append(
        f'<text class="axis" x="{MARGIN + 8}" y="{middle:.1f}" text-anchor="middle" {turned}>{escape(label)}</text>'
    )
    return parts


def _line(line: Line, across: _Scale, up: _Scale) -> list[str]:
    places = [(across.at(x), up.at(y)) for x, y in line.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = [f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4.2"/>' for x, y in places]
    return [f'<g class="{line.tone}">', f'<polyline class="line" points="{path}"/>', *dots, "</g>"]


def _names(plotted: Sequence[Line], across: _Scale, up: _Scale, x: float) -> list[str]:
    """The lines' names, at their last points' heights, moved apart where they would overlap."""
    wanted = sorted((up.at(line.points[-1][1]), at) for at, line in enumerate(plotted))
    heights = [height for height, _ in wanted]
    for at in range(1, len(heights)):
        heights[at] = max(heights[at], heights[at - 1] + LINE)
    excess = heights[-1] - max(up.start, up.end)
    for at in range(len(heights) - 1, -1, -1):
        ceiling = heights[at] - excess if at == len(heights) - 1 else heights[at + 1] - LINE
        heights[at] = min(heights[at], ceiling) if excess > 0 else heights[at]
    parts = []
    for height, (end, at) in zip(heights, wanted, strict=True):
        line = plotted[at]
        last = across.at(line.points[-1][0]) + 6
        ends = f'x1="{last:.1f}" x2="{x - 4:.1f}" y1="{end:.1f}" y2="{height:.1f}"'
        parts.append(f'<g class="{line.tone}"><line class="leader" {ends}/>')
        parts.append(f'<text class="name" x="{x:.1f}" y="{height + 4.5:.1f}">{escape(line.name)}</text></g>')
    return parts


def _lane(lane: Lane, top: float, left: float, across: _Scale) -> list[str]:
    middle = top + LANE / 2
    parts = [f'<text class="label" x="{left - 12}" y="{middle + 4.5:.1f}" text-anchor="end">{escape(lane.name)}</text>']
    for span in lane.spans:
        x, width = across.at(span.start), max(across.at(span.end) - across.at(span.start), 1.5)
        place = f'x="{x:.1f}" y="{middle - BAND / 2:.1f}" width="{width:.1f}" height="{BAND}" rx="3"'
        opacity = ' fill-opacity="0.45"' if span.tone is Tone.QUIET else ""
        parts.append(f'<g class="{span.tone}"><rect class="band" {place}{opacity}/></g>')
        if span.text and len(span.text) * 6.6 + 10 < width:
            shade = "tick" if span.tone is Tone.QUIET else "inside"
            parts.append(f'<text class="{shade}" x="{x + 7:.1f}" y="{middle + 4:.1f}">{escape(span.text)}</text>')
    for at, tone in lane.marks:
        x = across.at(at)
        ends = f'y1="{middle - BAND / 2 - 3:.1f}" y2="{middle + BAND / 2 + 3:.1f}"'
        parts.append(f'<g class="{tone}"><line class="mark" x1="{x:.1f}" x2="{x:.1f}" {ends}/></g>')
    for at, tone in lane.arrivals:
        x, tip = across.at(at), middle - BAND / 2 + 2
        corners = f"{x:.1f},{tip:.1f} {x - 5:.1f},{tip - 9:.1f} {x + 5:.1f},{tip - 9:.1f}"
        parts.append(f'<g class="{tone}"><polygon class="band" points="{corners}"/></g>')
    return parts


def _key(key: Sequence[tuple[Tone, str]]) -> list[str]:
    parts, x = [], float(MARGIN)
    for tone, name in key:
        opacity = ' fill-opacity="0.45"' if tone is Tone.QUIET else ""
        parts.append(
            f'<g class="{tone}"><rect class="band" x="{x:.0f}" y="80" width="12" height="12" rx="2.5"{opacity}/></g>'
        )
        parts.append(f'<text class="legend" x="{x + 18:.0f}" y="90.5">{escape(name)}</text>')
        x += 18 + 7.0 * len(name) + 22
    return parts
