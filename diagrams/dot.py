"""The picture as a DOT text, for Graphviz.

What makes it calm:

- Time runs downwards, and the usual path is one bold column with one bold way back.
- What leads aside (to the end, by a fault, by a deadline, or by one more way between two states) is not an arrow, but
  listed at the foot of the state that it leaves. Each state beside the usual path has one arrow in and one out; the
  final state has one thin line.
- Every text sits in a cell of fixed size, made from our own metrics: the layout does not depend on the fonts at hand.
"""

from html import escape
from itertools import pairwise

from clerestory.diagrams.choice import asides, course, is_aside, is_bold, is_usual, spell, whither
from clerestory.diagrams.metrics import width
from clerestory.diagrams.picture import Arrow, Lane, Line, Look, Picture, limit_of, waits_of
from clerestory.statemachines.contract import Name, Spec

FONT = "Helvetica Neue,Helvetica,Arial,DejaVu Sans,sans-serif"
PAPER, CARD, INK, QUIET, HAIR = "#fbfaf7", "#ffffff", "#1f2933", "#66717d", "#c9ced4"
ACCENT, FAULT, NORMAL = "#1c5d99", "#c0574f", "#8a949e"
TINTS = (("#e4eef8", "#3d6f9f"), ("#e6f2e8", "#3d6d48"), ("#fbf0dc", "#7d5d1e"))

STROKES = {
    Look.HAPPY: (ACCENT, 3.2, "solid", 1.0),
    Look.NORMAL: (NORMAL, 1.2, "solid", 0.7),
    Look.LATE: (NORMAL, 1.0, "dashed", 0.6),
    Look.FAULT: (FAULT, 0.9, "solid", 0.6),
    Look.FAULT_LATE: (FAULT, 0.9, "dashed", 0.6),
}
"""Colour, width, style and size of the head of an arrow."""

BESIDE = 1.5
"""The width of an arrow of the usual path where it leads by states beside it."""

FOOT = 9.5
"""The size of what is small: it can still be read where a page shows the picture smaller than it is."""

SLACK = 1.06
"""A renderer that rounds each letter to whole pixels needs a little more than the metrics say."""

BARE = 'BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"'


FIELD = 'BORDER="1" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"'


def to_dot(picture: Picture) -> str:
    """A DOT text that ends in a new line."""
    lines = [f"digraph {picture.name} {{", *_defaults(picture)]
    lines += [_state(picture, spec) for spec in picture.specs]
    lines += [f"  {{ rank=sink; {'; '.join(state.name for state in picture.finals)} }}"]
    lines += _start(picture)
    lines += [_arrow(picture, arrow) for arrow in picture.arrows if not is_aside(picture, arrow)]
    lines += [_aside(picture, arrow) for arrow in asides(picture)]
    lines += _column(picture)
    return "\n".join([*lines, "}"]) + "\n"


def _column(picture: Picture) -> list[str]:
    """What stands beside the usual path stands in a column: side by side it would make a picture that is too wide to be
    read in a page."""
    names = [spec.state.name for spec in picture.specs if not spec.final and spec.state not in course(picture)]
    return [f"  {upper} -> {lower} [style=invis, weight=2]" for upper, lower in pairwise(names)]


def _defaults(picture: Picture) -> list[str]:
    return [
        f'  graph [rankdir=TB, bgcolor="{PAPER}", fontname="{FONT}", pad=0.2, nodesep=0.3, ranksep=0.42,'
        f" splines=true, newrank=true, labelloc=t, label=<{_title(picture)}>]",
        f'  node [shape=plain, fontname="{FONT}"]',
        f'  edge [fontname="{FONT}", arrowhead=normal]',
    ]


def _cell(
    text: str, size: float, colour: str, *, bold: bool = False, room: float = 0, align: str = "CENTER", span: int = 1
) -> str:
    """A table cell that is as wide as its text, or `room`, whatever the font."""
    wide = max(round(width(text, size, bold) * SLACK + 4), round(room))
    inner = f'<FONT POINT-SIZE="{size:g}" COLOR="{colour}">{escape(text)}</FONT>'
    inner = f"<B>{inner}</B>" if bold else inner
    attributes = f'FIXEDSIZE="TRUE" WIDTH="{wide}" HEIGHT="{round(size * 1.6)}" ALIGN="{align}"'
    attributes += f' COLSPAN="{span}"' if span > 1 else ""
    return f"<TD {attributes}>{inner}</TD>"


def _table(rows: list[str], attributes: str = BARE) -> str:
    return f"<TABLE {attributes}>{''.join(f'<TR>{row}</TR>' for row in rows)}</TABLE>"


def _title(picture: Picture) -> str:
    """The machine's name, and what the strokes mean."""
    legends = ["".join(_sample(look) for look in picture.looks())]
    legends += ["".join(_phrase(lane, number) for number, lane in enumerate(picture.lanes))] if picture.lanes else []
    rows = [_cell(picture.name, 20, INK, bold=True), *(_table_cell(_table([legend])) for legend in legends)]
    rows += ['<TD HEIGHT="14"></TD>']
    return _table(rows)


def _table_cell(inner: str, attributes: str = "") -> str:
    return f"<TD {attributes}>{inner}</TD>"


def _sample(look: Look) -> str:
    """A short stroke, and its meaning."""
    return _stroke(look, 22) + _cell(look.value, FOOT, QUIET, align="LEFT") + '<TD WIDTH="14"></TD>'


def _stroke(look: Look, room: int) -> str:
    """A cell with a short line of a look."""
    colour, thickness, style, _ = STROKES[look]
    high = 3 if thickness > 2 else 1
    dashes = (4, 4, 4) if style == "dashed" else (16,)
    bits = _gap(2).join(
        f'<TD FIXEDSIZE="TRUE" WIDTH="{dash}" HEIGHT="{high}" BGCOLOR="{colour}"></TD>' for dash in dashes
    )
    line = _table([bits], f'FIXEDSIZE="TRUE" WIDTH="16" HEIGHT="{high}" {BARE}')
    return f'<TD FIXEDSIZE="TRUE" WIDTH="{room}" HEIGHT="8" ALIGN="LEFT">{line}</TD>'


def _phrase(lane: Lane, number: int) -> str:
    """A tinted field, and the phrase by which states of that tint are known."""
    tint, ink = TINTS[number % len(TINTS)]
    field = _table(['<TD FIXEDSIZE="TRUE" WIDTH="16" HEIGHT="9"></TD>'], f'BGCOLOR="{tint}" COLOR="{ink}" {FIELD}')
    field = f'<TD FIXEDSIZE="TRUE" WIDTH="22" HEIGHT="11" ALIGN="LEFT">{field}</TD>'
    return field + _cell(lane.phrase, FOOT, ink, align="LEFT", bold=True) + '<TD WIDTH="14"></TD>'


def _tint(picture: Picture, state: Name) -> str:
    """The ground of a state's card."""
    at = (number for number, lane in enumerate(picture.lanes) if state.name in lane.states)
    return TINTS[number % len(TINTS)][0] if (number := next(at, None)) is not None else CARD


def _state(picture: Picture, spec: Spec) -> str:
    """A card: the state's name, what it waits for, until when; at its foot what leads aside, and where to."""
    state = spec.state
    aside = [arrow for arrow in picture.arrows if arrow.source is state and is_aside(picture, arrow)]
    usual = is_usual(picture, state)
    facts = " · ".join(fact for fact in (waits_of(spec), limit_of(spec)) if fact)
    room = max(
        [
            150.0,
            width(facts, FOOT) * SLACK,
            *(width(spell(line), FOOT) * SLACK + 30 for arrow in aside for line in arrow.lines),
        ]
    )
    rows = [
        '<TD COLSPAN="2" HEIGHT="6"></TD>',
        _cell(state.name, 14, ACCENT if usual else INK, bold=True, room=room + 24, span=2),
        _cell(facts, FOOT, QUIET, room=room + 24, span=2),
        '<TD COLSPAN="2" HEIGHT="6"></TD>',
    ]
    for dest in dict.fromkeys(arrow.dest for arrow in aside):
        rows += ["<HR/>"] if len(rows) == 4 else []
        rows += ['<TD COLSPAN="2" HEIGHT="4"></TD>']
        rows += [_gap(12) + _cell(whither(state, dest), FOOT, INK, room=room + 12, align="LEFT")]
        rows += [_foot(arrow.look, line, room) for arrow in aside if arrow.dest is dest for line in arrow.lines]
    rows += ['<TD COLSPAN="2" HEIGHT="4"></TD>'] if aside else []
    body = "".join(row if row == "<HR/>" else f"<TR>{row}</TR>" for row in rows)
    label = (
        f'<TABLE BORDER="{2 if spec.final or usual else 1}" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"'
        f' STYLE="ROUNDED" COLOR="{ACCENT if usual else HAIR}" BGCOLOR="{_tint(picture, state)}">{body}</TABLE>'
    )
    group = ', group="usual"' if usual else ""
    return f"  {state.name} [label=<{label}>{group}]"


def _foot(look: Look, line: Line, room: float) -> str:
    """A line at the foot of a card, after a short stroke of its look."""
    ink = FAULT if look in (Look.FAULT, Look.FAULT_LATE) else QUIET
    text = _cell(spell(line), FOOT, ink, room=room - 18, align="LEFT")
    return _gap(12) + f'<TD ALIGN="LEFT">{_table([_stroke(look, 24) + text])}</TD>'


def _gap(wide: float) -> str:
    return f'<TD FIXEDSIZE="TRUE" WIDTH="{wide:g}" HEIGHT="1"></TD>'


def _start(picture: Picture) -> list[str]:
    return [
        f'  start [shape=circle, style=filled, width=0.16, fixedsize=true, label="", color="{INK}", fillcolor="{INK}"]',
        f'  start -> {picture.initial.name} [color="{INK}", penwidth=1.2, weight=20]',
    ]


def _arrow(picture: Picture, arrow: Arrow) -> str:
    """An arrow with its text. The usual path runs straight down, and comes back at the right."""
    happy = arrow.look is Look.HAPPY
    ink = ACCENT if happy else QUIET
    rows = []
    for line in arrow.lines:
        rows.append(_gap(8) + _cell(line.trigger, 12 if happy else FOOT, ink, bold=happy, align="LEFT") + _gap(8))
        rows += [_gap(8) + _cell(line.condition(), FOOT, ink, align="LEFT") + _gap(8)] if line.condition() else []
    label = f"label=<{_table(rows)}>"
    if not happy:
        return _edge(picture, arrow, label)
    order = [spec.state for spec in picture.specs]
    if order.index(arrow.dest) < order.index(arrow.source):
        return _edge(picture, arrow, label, (":e", ":e"))
    return _edge(picture, arrow, f"{label}, weight=40", (":s", ":n"))


def _aside(picture: Picture, arrow: Arrow) -> str:
    """A light arrow; its text is at the foot of the state that it leaves."""
    return _edge(picture, arrow, f"weight={4 if arrow.dest in picture.finals else 0}", light=True)


def _edge(picture: Picture, arrow: Arrow, more: str, ports: tuple[str, str] = ("", ""), *, light: bool = False) -> str:
    """An edge that is laid out downwards, whichever way its arrow points: what leads back is drawn backwards."""
    colour, thickness, style, head = STROKES[arrow.look]
    if arrow.look is Look.HAPPY and not is_bold(picture, arrow):
        thickness = BESIDE
    order = [spec.state for spec in picture.specs]
    upwards = order.index(arrow.dest) < order.index(arrow.source)
    upper, lower = (arrow.dest, arrow.source) if upwards else (arrow.source, arrow.dest)
    if upwards:
        more += ", dir=back"
    return (
        f'  {upper.name}{ports[0]} -> {lower.name}{ports[1]} [{more}, color="{colour}{"80" if light else ""}",'
        f" penwidth={thickness:g}, style={style}, arrowsize={head:g}]"
    )
