"""The workers of a supervisor: a line each for `ps`, and a line for all of them for `top`. Pure.

WORKER  GEN  PID   STATE     FOR     HEARD   CONNECTIONS  REQUESTS    MEMORY  WAITS FOR
2       1    4712  RETIRING  12.3 s  0.4 s             1    90,210   41.0 MB  2:17: GET /export SENDING_RESPONSE 12.3 s
3       2    4720  READY     8.1 s   0.2 s            12     1,204   39.2 MB  -
"""

from collections.abc import Sequence

from clerestory.server.xray.terminal.client import JSON
from clerestory.server.xray.terminal.text import Style, bare, shorten, size, span

HEADINGS = ("WORKER", "GEN", "PID", "STATE", "FOR", "HEARD", "CONNECTIONS", "REQUESTS", "MEMORY")

LEFT = ("WORKER", "GEN", "PID", "STATE")
"""Columns that begin at their left edge."""


def worker_lines(found: Sequence[JSON], style: Style) -> list[str]:
    """The workers, a line each, the oldest first; none where there is no supervisor."""
    if not found:
        return []
    rows = [HEADINGS, *(_columns(one) for one in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    last = ["WAITS FOR", *map(what_of, found)]
    lines = []
    for row, end in zip(rows, last, strict=True):
        parts = [
            f"{text:<{width}}" if name in LEFT else f"{text:>{width}}"
            for name, text, width in zip(HEADINGS, row, widths, strict=True)
        ]
        line = "  ".join([*parts, end])
        lines.append(line if style.width is None else shorten(line, style.width))
    marks = ["bold", *map(_mark, found)]
    return ["", *(style.paint(line, mark) for line, mark in zip(lines, marks, strict=True))]


def _columns(one: JSON) -> tuple[str, ...]:
    return (
        str(one["worker"]),
        str(one["generation"]),
        str(one["pid"] or "-"),
        bare(one["state"]),
        span(one["seconds"]),
        span(one["heard"]),
        f"{one['connections']:,}",
        f"{one['requests']:,}",
        size(one["memory"]),
    )


def what_of(one: JSON) -> str:
    """What there is to say of a worker besides: that it does not answer, that it is blocked, whom it waits for."""
    if one["answers"] is False:
        return "does not answer"
    if one["blocked"] is not None:
        return f"its loop is blocked, for {span(one['blocked'])}"
    return "; ".join(map(bare, one["waits_for"])) or "-"


def _mark(one: JSON) -> str:
    if one["answers"] is False or one["blocked"] is not None:
        return "critical"
    return "" if one["state"] == "READY" else "warning"


def workers_line(found: Sequence[JSON]) -> str:
    """`workers: 2 READY of generation 2; 1 RETIRING of generation 1, which waits for 2:17: GET /export ...`"""
    if not found:
        return ""
    counts: dict[tuple[int, str], list[JSON]] = {}
    for one in found:
        counts.setdefault((-one["generation"], bare(one["state"])), []).append(one)
    parts = []
    for (generation, state), ones in sorted(counts.items()):
        part = f"{len(ones)} {state} of generation {-generation}"
        waits = [bare(text) for one in ones for text in one["waits_for"]]
        part += f", for {waits[0]}" if waits else ""
        part += f" and {len(waits) - 1} more" if len(waits) > 1 else ""
        silent = [str(one["worker"]) for one in ones if one["answers"] is False]
        part += f" (no answer from {', '.join(silent)})" if silent else ""
        parts.append(part)
    return "workers: " + "; ".join(parts)
