"""One machine: what it waits for, what it has been asked, and its path as a time line. Pure.

The time line reads from the oldest transition to now: how long ago, how long it had stayed where it left, a bar of that
length, and where it went. A transition that nobody wants (a fault) is marked with `!`.
"""

from collections.abc import Iterator

from clerestory.server.xray.terminal.client import JSON
from clerestory.server.xray.terminal.text import Style, bare, count_of, fold, shorten, size, span

BAR = 12
"""Columns of the longest stay's bar."""

LABEL = 12


def details(one: JSON, style: Style) -> list[str]:
    """Everything about a machine that is open, or has ended."""
    title = bare(one["why"])
    if one["ended"] is None:
        title = f"{bare(one['id'])}  {title}"
    width = style.width or 10_000
    lines = [style.paint(part, "bold") for part in fold(title, width, "    ")]
    lines.append("")
    for label, text in _facts(one):
        if width < LABEL + 22:  # the label has a line of its own
            lines += [style.paint(label[:width], "dim")] if label else []
            lines += fold(text, width)
            continue
        first, *rest = fold(text, width - LABEL - 2)
        lines.append(f"  {style.paint(f'{label:<{LABEL}}', 'dim')}{first}")
        lines += [" " * (LABEL + 2) + part for part in rest]
    lines.append("")
    return lines + _stack(one, style) + timeline(one, style)


def _stack(one: JSON, style: Style) -> list[str]:
    """Where an application waits, as a traceback has it: the innermost call last."""
    frames = one.get("stack") or []
    if not frames:
        return []
    lines = [style.paint("  Where it waits (innermost call last):", "bold")]
    for frame in frames:
        place = f'    File "{bare(frame["file"])}", line {frame["line"]}, in {bare(frame["function"])}'
        lines.append(_fit(place, style))
        if frame["code"]:
            lines.append(_fit(f"      {bare(frame['code'])}", style))
    return [*lines, ""]


def _facts(one: JSON) -> Iterator[tuple[str, str]]:
    open_ = one["ended"] is None
    if one.get("worker"):
        yield "worker", f"{one['worker']}, of generation {one['generation']}"
    if one["peer"]:
        connected = one.get("descriptor", 0) >= 0  # what has no descriptor has a name, and no peer
        begun = "connected" if connected else "begun"
        since = f", {begun} {span(one['age'])} ago" if open_ and one["age"] is not None else ""
        yield "peer" if connected else "name", bare(one["peer"]) + since
    if open_:
        yield from _state(one)
    else:
        yield (
            "ended",
            f"{span(one['age'])} ago, by {bare(one['cause'])} in {bare(one['state'])} ({bare(one['trigger'])})",
        )
        yield "lasted", span(one["lasted"])
    if one.get("tls"):
        yield "TLS", bare(one["tls"])
    if one["request"]:
        number = f" ({bare(one['request_id'])})" if one.get("request_id") else ""
        status = f", answered with {one['status']}" if one.get("status") else ""
        yield "request", bare(one["request"]) + number + status
    if one["peer"]:
        yield (
            "so far",
            f"{count_of(one['requests'], 'request')}, {size(one['bytes_in'])} in, {size(one['bytes_out'])} out",
        )
    spent = one.get("spent") or {}
    if spent:
        yield "exchange", ", ".join(f"{bare(state)} {span(seconds)}" for state, seconds in spent.items())
    for name, value in one.get("fields") or []:
        yield "field", f"{bare(name)}: {bare(value)}"
    if not one.get("fields"):  # else they are the same, and whole
        yield from _message("came last", one.get("received"))
    yield from _message("went last", one.get("sent"))


def _message(label: str, lines: list[str] | None) -> Iterator[tuple[str, str]]:
    for line in lines or []:
        yield label, bare(line)
        label = ""


def _state(one: JSON) -> Iterator[tuple[str, str]]:
    yield "state", f"{bare(one['state'])} for {span(one['seconds'])}: {bare(one['true_while'])}"
    yield "waits for", bare(" <- ".join(one["chain"] or [one["waits_for"]]))
    deadline = one["deadline"]
    if deadline is None:
        yield "deadline", "none"
        return
    left = deadline["remaining"]
    until = f"fires in {span(left)}" if left > 0 else "fires any moment now"
    clocks = {"time": "", "idle": ", unless a byte moves", "rate": ", unless bytes move faster"}
    limit = f"{deadline['seconds']:g} s{'' if deadline['by'] == 'time' else ' idle'}"
    yield "deadline", f"{bare(deadline['name'])}, {limit}: {until}{clocks.get(deadline['by'], '')}"


def timeline(one: JSON, style: Style) -> list[str]:
    """The path, a line a transition."""
    lines = [_transition_line(transition) for transition in one["path"]]
    if one["ended"] is None:
        lines.append(("now", one["seconds"], bare(one["state"]), "", " "))
    ages = max([len("AGO"), *(len(line[0]) for line in lines)])
    stays = max([len("STAYED"), *(len(span(line[1])) for line in lines)])
    states = max([len("IN"), *(len(line[2]) for line in lines)])
    thens = max([len("THEN"), *(len(line[3]) for line in lines)])
    longest = max((line[1] for line in lines if line[1] is not None), default=0.0) or 1.0
    bar = max(0, min(BAR, (style.width or 10_000) - ages - stays - states - thens - 11))
    heading = f"  {'AGO':>{ages}}  {'STAYED':>{stays}}  {'':<{bar}}  {'IN':<{states}}  THEN"
    found = [style.paint(_fit(heading, style), "bold")]
    if one.get("truncated"):
        found.append(_fit("  what came before is forgotten", style))
    for ago, stayed, state, then, mark in lines:
        line = f"  {ago:>{ages}}  {span(stayed):>{stays}}  {_bar(stayed, longest, bar)}  {state:<{states}} {mark}{then}"
        found.append(style.paint(_fit(line.rstrip(), style), "warning" if mark == "!" else ""))
    return found


def _transition_line(transition: JSON) -> tuple[str, float | None, str, str, str]:
    then = f"{bare(transition['trigger'])} -> {bare(transition['dest'])}"
    mark = "!" if transition["way"] == "FAULT" else " "
    return span(transition["age"]), transition["stayed"], bare(transition["source"]), then, mark


def _bar(stayed: float | None, longest: float, width: int) -> str:
    if stayed is None or not width:
        return " " * width
    return f"{'#' * max(1, round(width * stayed / longest)):<{width}}"


def _fit(line: str, style: Style) -> str:
    return line if style.width is None else shorten(line, style.width)
