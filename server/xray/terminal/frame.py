"""One frame of `top`, as lines. Pure: what was seen (`Sight`), how it is looked at (`View`), and the size."""

from dataclasses import dataclass, field

from clerestory.server.xray.terminal.client import JSON
from clerestory.server.xray.terminal.details import details
from clerestory.server.xray.terminal.table import table
from clerestory.server.xray.terminal.text import Style, bare, count_of, fold, shorten, size, span
from clerestory.server.xray.terminal.view import Mode, View
from clerestory.server.xray.terminal.workers import workers_line

KEYS = "arrows choose  enter shows  c close  C all  s sort  r reverse  / filter  f state  h help  q quit"

WITH_WORDS = 96
"""Columns from which on the states are told in plain words, too."""

HELP = """\
up, down, j, k     choose a connection
enter              everything about it: what it waits for, and its path
c                  close it; you are asked first
C                  close all that the filter chooses; you are asked first
s, r               sort by the next column; reverse the order
/                  filter: state=reading_head older=5s peer=10.0. path=/emails,
                   or simply: reading_head 5s /emails
f                  filter by the next state
escape             no filter
space              pause; continue
q                  quit

NOW     machines that are in the state now     OLDEST  the longest of them
IN/S    entries into it, a second              P50, P99  of all finished stays
                                               since the start, to a factor of 2""".splitlines()


@dataclass(slots=True)
class Sight:
    """What was seen: two snapshots, one look apart; the tables; the rows, or the one that is looked at."""

    address: str
    tables: dict[str, JSON] = field(default_factory=dict)
    before: JSON | None = None
    snapshot: JSON | None = None
    rows: list[JSON] = field(default_factory=list)
    matched: int = 0
    total: int = 0
    one: JSON | None = None


def frame(sight: Sight, view: View, style: Style, height: int) -> list[str]:
    """Exactly as many lines as the terminal has, or fewer."""
    width = style.width or 80
    last = _last(view, style, width)
    if sight.snapshot is None:
        return [shorten(f"clerestory: looking at {sight.address} ...", width), "", *last][:height]
    if view.mode is Mode.HELP:
        body = [line[:width] for line in HELP]
    elif view.mode is Mode.DETAILS and sight.one is not None:
        lines = details(sight.one, style)
        view.top = min(view.top, max(0, len(lines) - (height - 2)))
        body = lines[view.top :]
    else:
        body = _overview(sight, view, style, height - len(last))
    room = max(0, height - len(last))
    return (body[:room] + [""] * (room - len(body)) + last)[:height]


def _last(view: View, style: Style, width: int) -> list[str]:
    """The line at the bottom: a question, what is being typed, a message, or the keys."""
    if view.mode is Mode.ASKING:
        answers = " [y/N]" if width > 20 else ""
        return [style.paint(shorten(bare(view.question), width - len(answers)) + answers, "bold")]
    if view.mode is Mode.TYPING:
        return [style.paint(f"filter: {view.typed}_"[-width:], "bold")]
    if view.message:
        return [style.paint(line, "warning") for line in fold(bare(view.message), width)[:3]]
    others = {Mode.DETAILS: "up and down scroll  c close  escape back  q quit", Mode.HELP: "any key goes back  q quit"}
    keys = others.get(view.mode, KEYS)
    keys = KEYS_SHORT if keys == KEYS and len(KEYS) > width else keys
    return [style.paint(keys[:width], "dim")]


KEYS_SHORT = "enter shows  c/C close  s sort  r reverse  / filter  f state  h help  q quit"


def _overview(sight: Sight, view: View, style: Style, height: int) -> list[str]:
    width = style.width or 80
    head = [*_title(sight, view, style, width), *_banners(sight, style, width, max(1, height // 3))]
    states = _states(sight, style, width)
    if len(head) + len(states) + 6 <= height:
        head += ["", *states, ""]
    room = height - len(head) - 1
    place = view.place(sight.rows)
    first = max(0, (place or 0) - max(0, room - 1))
    lines = table(sight.rows[first : first + max(0, room)], style, None if place is None else place - first)
    lines[0] = _sorted_by(lines[0], sight, view, style, width)
    return head + lines


def _title(sight: Sight, view: View, style: Style, width: int) -> list[str]:
    snapshot = sight.snapshot
    assert snapshot is not None
    still = "  (paused)" if view.paused else ""
    left = f"clerestory {snapshot['pid']}  {bare(snapshot['serving'])}  up {span(snapshot['uptime'])}{still}"
    right = bare(sight.address)
    left = shorten(left, max(10, width - len(right) - 2))
    title = shorten(f"{left:<{max(0, width - len(right))}}{right}", width)
    bounds, rates = snapshot["bounds"], _rates(sight)
    parts = [
        f"{snapshot['machines']['connection']['total']:,} of {count_of(bounds['slots'], 'slot')}",
        f"{rates[0]:,.1f} requests/s",
        f"in {size(rates[1])}/s out {size(rates[2])}/s",
        f"lag {span(snapshot['loop']['lag'])}",
        f"{bounds['open_descriptors'] or '?'} of {bounds['descriptors']} descriptors",
    ]
    while len(", ".join(parts)) > width and len(parts) > 1:
        parts.pop()
    workers = workers_line(snapshot.get("workers") or [])
    lines = [style.paint(title, "bold"), ", ".join(parts)[:width]]
    return [*lines, shorten(workers, width)] if workers else lines


def _rates(sight: Sight) -> tuple[float, float, float]:
    """Requests, bytes in and bytes out a second, between the two looks."""
    after, before = sight.snapshot, sight.before
    assert after is not None
    if before is None or after["now"] <= before["now"]:
        return 0.0, 0.0, 0.0
    seconds = after["now"] - before["now"]
    names = ("requests", "bytes_in", "bytes_out")
    requests, taken, sent = (max(0, after["totals"][name] - before["totals"][name]) / seconds for name in names)
    return requests, taken, sent


def _banners(sight: Sight, style: Style, width: int, most: int) -> list[str]:
    assert sight.snapshot is not None
    lines: list[str] = []
    for banner in sight.snapshot["banners"]:
        text = fold(f"{banner['level'].upper()}: {bare(banner['text'])}", width, "  ")
        lines += [style.paint(line, banner["level"]) for line in text]
    return lines[:most]


def _states(sight: Sight, style: Style, width: int) -> list[str]:
    """The connection's states: how many, the oldest, transitions into it a second, and how long stays last."""
    snapshot = sight.snapshot
    assert snapshot is not None
    standing, dwell = snapshot["machines"]["connection"], snapshot["dwell"].get("connection", {})
    into = _into(sight)
    words = {one["name"]: bare(one["words"]) for one in sight.tables.get("connection", {}).get("states", ())}
    lines = [style.paint(f"{'STATE':<18}{'NOW':>7}{'OLDEST':>14}{'IN/S':>11}{'P50':>11}{'P99':>11}"[:width], "bold")]
    for state, count in standing["states"].items():
        if state not in dwell:
            continue
        stays, oldest = dwell[state], standing["oldest"].get(state)
        text = f"{bare(state):<18}{count:>7}{span(oldest):>14}{into.get(state, 0.0):>11.1f}"
        text += f"{span(stays['p50']):>11}{span(stays['p99']):>11}"
        text += f"  {words[state]}" if width >= WITH_WORDS and state in words else ""
        lines.append(style.paint(text[:width], "" if count else "dim"))
    others = [
        f"{bare(kind)} {bare(state)} {count}"
        for kind, machine in snapshot["machines"].items()
        if kind not in ("connection", "wakeup")
        for state, count in machine["states"].items()
        if count
    ]
    return [*lines, style.paint(shorten("also: " + ", ".join(others), width), "dim")] if others else lines


def _into(sight: Sight) -> dict[str, float]:
    """Transitions into each state from another one, a second."""
    after, before, rows = sight.snapshot, sight.before, sight.tables.get("connection", {}).get("rows", [])
    assert after is not None
    if before is None or after["now"] <= before["now"]:
        return {}
    found: dict[str, float] = {}
    pairs = zip(rows, before["edges"].get("connection", []), after["edges"].get("connection", []), strict=False)
    for row, old, new in pairs:
        if row["source"] != row["dest"]:
            found[row["dest"]] = found.get(row["dest"], 0.0) + (new - old) / (after["now"] - before["now"])
    return found


def _sorted_by(heading: str, sight: Sight, view: View, style: Style, width: int) -> str:
    """The table's heading, with what is shown of how many, and in what order."""
    order = view.sort.removeprefix("-").replace("_", " ") + (", reversed" if view.sort.startswith("-") else "")
    words = bare(view.words())
    which = f"{sight.matched:,} of {sight.total:,} with {words}" if words else f"{sight.total:,}"
    right = f"{which}, by {order}"
    plain = Style(style.width)
    left = heading if plain == style else heading.removeprefix("\x1b[1m").removesuffix("\x1b[0m")
    return style.paint(f"{left.rstrip():<{max(0, width - len(right))}}{right}"[-width:][:width], "bold")
