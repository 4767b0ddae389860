"""A recording for others to read. Pure.

    text       for people
    mermaid    a sequence diagram, for documents and issues: https://mermaid.js.org
    perfetto   Chrome's trace event format, for https://ui.perfetto.dev
    recording  JSON, for `clerestory replay FILE`

What may carry a secret is hidden unless `secrets` are asked for, as everywhere. `epoch` is the time of day, as
time.time() says it, at which the recording's clock stood at 0; where it is unknown, no time of day is told.
"""

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from clerestory.handlers.api.operations import span
from clerestory.server.xray.observe.recorder import Recording
from clerestory.server.xray.serve.redaction import hidden, message_lines
from clerestory.statemachines.contract import Interest, Name
from clerestory.statemachines.engine import Edge

FORMAT = "clerestory recording"


def request_of(one: Recording, *, secrets: bool = False) -> str:
    """The recording's request line; its query is hidden."""
    return one.request if secrets else hidden(one.request)


def stays(one: Recording) -> Iterator[tuple[float, float | None, Edge]]:
    """Each transition with its time since the machine's beginning, and how long it had stayed in the edge's source."""
    before = one.born if one.whole else None
    for at, edge in one.path:
        yield at - one.born, at - before if before is not None else None, edge
        before = at


def present(one: Recording) -> tuple[Name, float] | None:
    """The state in which an open machine stands, and how long it has; None of one that has ended."""
    if one.ended_at is not None:
        return None
    at, state = (one.path[-1][0], one.path[-1][1].dest.state) if one.path else (one.born, one.engine.initial.state)
    return state, max(0.0, one.seen_at - at)


def headline(one: Recording, *, secrets: bool = False) -> str:
    """`connection 17 from 127.0.0.1:5000, GET /emails/7: ended by deadline in READING_HEAD after 10.2 s`."""
    kind = one.engine.table.name
    text = f"{kind} {one.id.removeprefix(kind + ':')}" + (f" from {one.peer}" if one.peer else "")
    request = request_of(one, secrets=secrets)
    text += f", {request}" if request else ""
    note = f"; {one.note}" if one.note else ""
    if one.ended_at is not None:
        return f"{text}: ended by {one.ending()} after {span(one.ended_at - one.born)}{note}"
    return f"{text}: open{note}"


def time_of_day(epoch: float | None, at: float) -> str:
    """`2026-11-30T20:33:58.761Z`, as the log has it; empty where it is unknown."""
    if epoch is None:
        return ""
    return datetime.fromtimestamp(epoch + at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_text(one: Recording, *, secrets: bool = False, epoch: float | None = None) -> str:
    """One line a transition: when, how long it had stayed, and where it went."""
    lines = [headline(one, secrets=secrets)]
    counts = f"{one.requests} request{'s' * (one.requests != 1)}, {one.bytes_in} bytes in, {one.bytes_out} bytes out"
    began = time_of_day(epoch, one.born)
    lines.append(f"{counts}; began {began}" if began else counts)
    if not one.whole:
        lines.append(f"only the last {len(one.path)} transitions are known")
    for at, stayed, edge in stays(one):
        stay = f"{stayed * 1000:10.3f} ms" if stayed is not None else "          ?  "
        mark = " " if edge.row.way.name != "FAULT" else "!"
        lines.append(f"{at:10.3f} s {mark} {edge.source.state:<18}{stay}  {edge.trigger} -> {edge.dest.state}")
    here = present(one)
    if here is not None:
        state, stayed = here
        lines.append(f"{one.seen_at - one.born:10.3f} s   {state:<18}{stayed * 1000:10.3f} ms  so far")
    for label, data in (("the last head that came begins", one.received), ("the last that went begins", one.sent)):
        if data:
            lines += [f"{label}:", *(f"    {line}" for line in message_lines(data, secrets=secrets))]
    return "\n".join(lines) + "\n"


# --- Mermaid

_ESCAPES = str.maketrans({"#": "#35;", ";": "#59;", "<": "#60;", ">": "#62;", '"': "#34;", "%": "#37;"})


def as_mermaid(one: Recording, *, secrets: bool = False, epoch: float | None = None) -> str:
    """Who spoke is read from what was awaited: a state that waits for readable hears the peer, one that waits for
    writable is heard by it, and one that waits for a hang-up alone is spoken to by what it has asked."""
    title = headline(one, secrets=secrets)
    lines = [
        "sequenceDiagram",
        f"    accTitle: {_plain(title)}",
        f"    participant P as {_plain(one.peer or 'peer')}",
        f"    participant M as {_plain(one.engine.table.name)} {one.id.rpartition(':')[2]}",
        "    participant B as backend",
    ]
    if began := time_of_day(epoch, one.born):
        lines.append(f"    Note over P,B: began {began}")
    departures = one.engine.table.departures
    for _, stayed, edge in stays(one):
        stay = f" after {stayed * 1000:.3f} ms" if stayed is not None else ""
        lines.append(f"    {_arrow(edge, departures)}: {edge.trigger}{stay}")
        lines.append(f"    Note over M: {edge.dest.state}")
    here = present(one)
    if here is not None:
        lines.append(f"    Note over M: {here[0]} for {here[1] * 1000:.3f} ms so far")
    for label, data in (("came last", one.received), ("went last", one.sent)):
        first = message_lines(data, secrets=secrets)[:1]
        lines += [f"    Note over P,M: {label}: {_plain(line)}" for line in first]
    if one.ended_at is not None:
        at = time_of_day(epoch, one.ended_at)
        lines.append(f"    Note over P,B: ended by {one.ending()}{f' {at}' if at else ''}")
    return "\n".join(lines) + "\n"


def _arrow(edge: Edge, departures: frozenset[Any]) -> str:
    if edge.trigger in departures:
        return "P-xM"
    if edge.trigger in ("DEADLINE_PASSED", "CLOSE_ORDERED", "DRAIN_STARTED"):
        return "M->>M"
    waits_for = edge.source.spec.waits_for
    if waits_for & Interest.WRITABLE:
        return "M->>P"
    return "P->>M" if waits_for & Interest.READABLE else "B->>M"


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text).translate(_ESCAPES)


# --- traces


def as_perfetto(one: Recording, *, secrets: bool = False, epoch: float | None = None) -> str:
    """Chrome's trace event format: each stay is a complete event (`X`), each trigger an instant (`i`); microseconds.

    A stay begins with the very figure that the one before it ends with: a viewer drops those that overlap."""
    thread = {"pid": os.getpid(), "tid": one.number or one.descriptor}
    name = request_of(one, secrets=secrets) or one.engine.table.name  # the viewer puts the number behind it
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "process_name", "pid": thread["pid"], "args": {"name": "clerestory"}},
        {"ph": "M", "name": "thread_name", **thread, "args": {"name": name}},
    ]
    before = 0.0
    for at, stayed, edge in stays(one):
        begin, before = before, _micro(at)
        if stayed is not None:
            stay = {"ts": begin, "dur": round(before - begin, 1), "args": {"left_by": edge.trigger}}
            events.append({"ph": "X", "name": edge.source.state, "cat": "state", **thread, **stay})
        arguments = {"source": edge.source.state, "dest": edge.dest.state, "way": edge.row.way.name}
        events.append(
            {"ph": "i", "s": "t", "name": edge.trigger, "cat": "trigger", "ts": before, **thread, "args": arguments}
        )
    here = present(one)
    if here is not None:
        state, stayed = here
        stay = {"ts": before, "dur": _micro(stayed), "args": {"left_by": "not yet"}}
        events.append({"ph": "X", "name": state, "cat": "state", **thread, **stay})
    story: dict[str, Any] = {"machine": headline(one, secrets=secrets)}
    if began := time_of_day(epoch, one.born):
        story["began"] = began
    for label, data in (("last_received", one.received), ("last_sent", one.sent)):
        if data:
            story[label] = message_lines(data, secrets=secrets)
    events[-1]["args"] |= story
    return json.dumps({"traceEvents": events, "displayTimeUnit": "ms", "otherData": story}, indent=1)


def _micro(seconds: float) -> float:
    return round(seconds * 1e6, 1)


# --- recordings


def as_recording(one: Recording, *, secrets: bool = False, epoch: float | None = None) -> str:  # noqa: ARG001
    """JSON with all that a replay needs; times are seconds since the machine's beginning."""
    return json.dumps(
        {
            "format": FORMAT,
            "version": 1,
            "machine": one.engine.table.name,
            "id": one.id,
            "peer": one.peer,
            "request": request_of(one, secrets=secrets),
            "requests": one.requests,
            "status": one.status,
            "bytes_in": one.bytes_in,
            "bytes_out": one.bytes_out,
            "whole": one.whole,
            "ended": one.ended_at is not None,
            "seen_at": round(one.seen_at - one.born, 6) if one.ended_at is None else None,
            "received": message_lines(one.received, secrets=secrets),
            "sent": message_lines(one.sent, secrets=secrets),
            "cause": one.edge.row.ends if one.edge is not None else None,
            "passages": [
                {
                    "at": round(at, 6),
                    "source": edge.source.state,
                    "trigger": edge.trigger,
                    "dest": edge.dest.state,
                    "guard": edge.row.guard,
                }
                for at, _, edge in stays(one)
            ],
        },
        indent=1,
    )


EXPORTS: dict[str, tuple[Callable[..., str], bytes]] = {
    "text": (as_text, b"text/plain; charset=utf-8"),
    "mermaid": (as_mermaid, b"text/plain; charset=utf-8"),
    "perfetto": (as_perfetto, b"application/json"),
    "recording": (as_recording, b"application/json"),
}
"""By the name that `?format=` takes: what writes it, and its media type."""
