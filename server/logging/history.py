"""A machine's history as lines of the log."""

from collections.abc import Iterable

from clerestory.statemachines.engine import Edge


def history_lines(history: Iterable[tuple[float, Edge]]) -> list[str]:
    """`HEAD_STARTED -> READING_HEAD after 0.012 s`: one line for each transition, oldest first."""
    lines, before = [], None
    for at, edge in history:
        after = f" after {at - before:.3f} s" if before is not None else f" from {edge.source.state}"
        lines.append(f"{edge.trigger} -> {edge.dest.state}{after}")
        before = at
    return lines
