"""The picture as a DOT text, for Graphviz.

What makes it calm:

- Time runs downwards, and the usual path is one bold column with one bold way back.
- What leads aside (to the end, by a fault, by a deadline, or by one more way between two states) is not an arrow, but
  listed at the foot of the state that it leaves. Each state beside the usual path has one arrow in and one out; the
  final state has one thin line.
- Every text sits in a cell of fixed size, made from our own metrics: the layout does not depend on the fonts at hand.
"""

from functools import cache
from html import escape

from clerestory.diagrams.metrics import width
from clerestory.diagrams.picture import Arrow, Lane, Line, Look, Picture, limit_of, waits_of
from clerestory.statemachines.contract import Name, Spec

FONT = "Helvetica Neue,Helvetica,Arial,DejaVu Sans,sans-serif"
PAPER, CARD, INK, QUIET, HAIR = "#fbfaf7", "#ffffff", "#1f2933", "#66717d", "#c9ced4"
ACCENT, FAULT, NORMAL = "#1c5d99", "#c0574f", "#8a949e"
TINTS = (("#e4eef8", "#3d6f9f"), ("#e6f2e8", "#4b7f57"), ("#fbf0dc", "#93702f"))

STROKES = {
    Look.HAPPY: (ACCENT, 3.2, "solid", 1.0),
    Look.NORMAL: (NORMAL, 1.2, "solid", 0.7),
    Look.LATE: (NORMAL, 1.0, "dashed", 0.6),
    Look.FAULT: (FAULT, 0.9, "solid", 0.6),
    Look.FAULT_LATE: (FAULT, 0.9, "dashed", 0.6),
}
"""Colour, width, style and size of the head of an arrow."""

SLACK = 1.06
"""A renderer that rounds each letter to whole pixels needs a little more than the metrics say."""

BARE = 'BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"'


def to_dot(picture: Picture) -> str:
    """A DOT text that ends in a new line."""
    lines = [f"digraph {picture.name} {{", *_defaults(picture)]
    lanes = {state for lane in picture.lanes for state in lane.states}
    for number, lane in enumerate(picture.lanes):
        lines += _lane(picture, lane, number)
    lines += [_state(picture, spec) for spec in picture.specs if spec.state.name not in lanes]
    lines += [f"  {{ rank=sink; {'; '.join(state.name for state in picture.finals)} }}"]
    lines += _start(picture)
    lines += [_arrow(picture, arrow) for arrow in picture.arrows if not _is_aside(picture, arrow)]
    lines += [_aside(picture, arrow) for arrow in _asides(picture)]
    return "\n".join([*lines, "}"]) + "\n"


def _defaults(picture: Picture) -> list[str]:
    return [
        f'  graph [rankdir=TB, bgcolor="{PAPER}", fontname="{FONT}", pad=0.35, nodesep=0.45, ranksep=0.55,'
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
    legend = "".join(_sample(look) for look in picture.looks())
    rows = [_cell(picture.name, 20, INK, bold=True), _table_cell(_table([legend])), '<TD HEIGHT="14"></TD>']
    return _table(rows)


def _table_cell(inner: str, attributes: str = "") -> str:
    return f"<TD {attributes}>{inner}</TD>"


def _sample(look: Look) -> str:
    """A short stroke, and its meaning."""
    return _stroke(look, 22) + _cell(look.value, 9, QUIET, align="LEFT") + '<TD WIDTH="14"></TD>'


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


def _lane(picture: Picture, lane: Lane, number: int) -> list[str]:
    """A tinted group of states under one phrase."""
    tint, ink = TINTS[number % len(TINTS)]
    specs = [spec for spec in picture.specs if spec.state.name in lane.states]
    return [
        f"  subgraph cluster_{number} {{",
        f'    style="rounded,filled"; color="{tint}"; fillcolor="{tint}"; margin=22; labeljust=l;',
        f"    label=<{_table([_cell(lane.phrase, 12.5, ink, bold=True)])}>;",
        *(f"  {_state(picture, spec)}" for spec in specs),
        *(f"    {specs[0].state.name} -> {spec.state.name} [style=invis]" for spec in specs[1:]),
        "  }",
    ]


def _state(picture: Picture, spec: Spec) -> str:
    """A card: the state's name, what it waits for, until when; at its foot what leads aside, and where to."""
    state = spec.state
    asides = [arrow for arrow in picture.arrows if arrow.source is state and _is_aside(picture, arrow)]
    usual = _is_usual(picture, state)
    facts = " · ".join(fact for fact in (waits_of(spec), limit_of(spec)) if fact)
    room = max(
        [
            150.0,
            width(facts, 9) * SLACK,
            *(width(_spell(line), 8) * SLACK + 30 for arrow in asides for line in arrow.lines),
        ]
    )
    rows = [
        '<TD COLSPAN="2" HEIGHT="6"></TD>',
        _cell(state.name, 14, ACCENT if usual else INK, bold=True, room=room + 24, span=2),
        _cell(facts, 9, QUIET, room=room + 24, span=2),
        '<TD COLSPAN="2" HEIGHT="6"></TD>',
    ]
    for dest in dict.fromkeys(arrow.dest for arrow in asides):
        rows += ["<HR/>"] if len(rows) == 4 else []
        rows += ['<TD COLSPAN="2" HEIGHT="4"></TD>']
        rows += [_gap(12) + _cell(_whither(state, dest), 8, INK, room=room + 12, align="LEFT")]
        rows += [_foot(arrow.look, line, room) for arrow in asides if arrow.dest is dest for line in arrow.lines]
    rows += ['<TD COLSPAN="2" HEIGHT="4"></TD>'] if asides else []
    body = "".join(row if row == "<HR/>" else f"<TR>{row}</TR>" for row in rows)
    label = (
        f'<TABLE BORDER="{2 if spec.final or usual else 1}" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"'
        f' STYLE="ROUNDED" COLOR="{ACCENT if usual else HAIR}" BGCOLOR="{CARD}">{body}</TABLE>'
    )
    group = ', group="usual"' if usual else ""
    return f"  {state.name} [label=<{label}>{group}]"


def _whither(state: Name, dest: Name) -> str:
    return f"to {dest.name}" + (" again" if dest is state else "")


def _is_usual(picture: Picture, state: Name) -> bool:
    """Whether the usual path leads through a state."""
    through = {end for arrow in picture.arrows if arrow.look is Look.HAPPY for end in (arrow.source, arrow.dest)}
    return state in through and state not in picture.finals


def _spell(line: Line) -> str:
    return " ".join(part for part in (line.trigger, line.condition()) if part)


def _foot(look: Look, line: Line, room: float) -> str:
    """A line at the foot of a card, after a short stroke of its look."""
    ink = FAULT if look in (Look.FAULT, Look.FAULT_LATE) else QUIET
    text = _cell(_spell(line), 8, ink, room=room - 18, align="LEFT")
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
        rows.append(_gap(8) + _cell(line.trigger, 10 if happy else 8.5, ink, bold=happy, align="LEFT") + _gap(8))
        rows += [_gap(8) + _cell(line.condition(), 8, ink, align="LEFT") + _gap(8)] if line.condition() else []
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
    order = [spec.state for spec in picture.specs]
    upwards = order.index(arrow.dest) < order.index(arrow.source)
    upper, lower = (arrow.dest, arrow.source) if upwards else (arrow.source, arrow.dest)
    if upwards:
        more += ", dir=back"
    return (
        f'  {upper.name}{ports[0]} -> {lower.name}{ports[1]} [{more}, color="{colour}{"80" if light else ""}",'
        f" penwidth={thickness:g}, style={style}, arrowsize={head:g}]"
    )


def _is_aside(picture: Picture, arrow: Arrow) -> bool:
    """Whether an arrow is not drawn with its text, but listed in the card of the state that it leaves."""
    return arrow not in _drawn(picture)


@cache
def _drawn(picture: Picture) -> frozenset[Arrow]:
    """The arrows that are drawn with their texts: the usual path, and for each state beside it one way in and one out.

    The others are in the cards: lines from everywhere to everywhere hide the path that a reader looks for.
    """
    drawn = {arrow for arrow in picture.arrows if arrow.look is Look.HAPPY}
    normal = [arrow for arrow in picture.arrows if arrow.look is Look.NORMAL and arrow.source is not arrow.dest]
    for state in (spec.state for spec in picture.specs):
        if not _is_usual(picture, state) and state not in picture.finals:
            into = [arrow for arrow in normal if arrow.dest is state]
            out = [arrow for arrow in normal if arrow.source is state and arrow.dest not in picture.finals]
            drawn |= {min(ways, key=lambda arrow: _far(picture, arrow)) for ways in (into, out) if ways}
    return frozenset(drawn)


def _asides(picture: Picture) -> list[Arrow]:
    """The light lines: one for each state that no drawn arrow leads to, from the state that is nearest above it."""
    reached = {picture.initial, *(arrow.dest for arrow in _drawn(picture))}
    lines = []
    for state in (spec.state for spec in picture.specs):
        into = [arrow for arrow in picture.arrows if arrow.dest is state and arrow.source is not state]
        if state not in reached and into:
            lines.append(min(into, key=lambda arrow: _steps(picture, arrow)))
    return lines


def _far(picture: Picture, arrow: Arrow) -> tuple[int, tuple[bool, int]]:
    """How far an arrow leads from the usual path, and from its state: the nearer, the clearer."""
    beside = sum(not _is_usual(picture, state) for state in (arrow.source, arrow.dest))
    return beside, _steps(picture, arrow)


def _steps(picture: Picture, arrow: Arrow) -> tuple[bool, int]:
    """Whether an arrow leads upwards, and past how many states."""
    order = [spec.state for spec in picture.specs]
    down = order.index(arrow.dest) - order.index(arrow.source)
    return down < 0, abs(down)
