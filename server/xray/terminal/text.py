"""Words, widths and colours. Pure.

`bare` is the door through which everything passes that somebody else has chosen: a target, a peer, a server's words.
"""

import os
from dataclasses import dataclass
from typing import TextIO

CUT = "…"

_COLOURS = {"critical": "1;31", "warning": "33", "info": "36", "bold": "1", "dim": "2", "chosen": "7"}


def bare(text: object) -> str:
    """`text` with whatever is not printable escaped: no client decides what a terminal is sent."""
    words = str(text)
    return words if words.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in words)


def shorten(text: str, width: int) -> str:
    """`text` in at most `width` columns: its middle goes first, since beginnings and ends tell more."""
    if len(text) <= width:
        return text
    if width <= 1:
        return CUT[:width]
    head = width // 2
    return text[:head] + CUT + text[len(text) - (width - head - 1) :]


def span(seconds: float | None) -> str:
    """`0.3 ms`, `12.0 s`, `3 min 20 s`, `2 h 05 min`; `-` where nobody knows."""
    if seconds is None:
        return "-"
    if seconds < 0.1:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


def duration(seconds: float) -> str:
    """`0.24 ms`, `26.0 ms`, `218 ms`, `1.24 s`, `75.0 s`: to three figures."""
    milliseconds = seconds * 1000
    for limit, figures in ((9.995, 2), (99.95, 1), (999.5, 0)):
        if milliseconds < limit:
            return f"{milliseconds:.{figures}f} ms"
    return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"


def size(count: float) -> str:
    """`950 B`, `12.3 kB`, `4.0 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"


def count_of(number: int, word: str) -> str:
    """`1 connection`, `10,000 connections`."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def fold(text: str, width: int, indent: str = "") -> list[str]:
    """`text` in lines of at most `width`, broken at spaces; each after the first begins with `indent`."""
    width = max(1, width)
    indent = indent if len(indent) < width else ""
    lines = [""]
    for word in text.split(" "):
        while len(lines[-1]) + 1 + len(word) > width and lines[-1].strip():
            lines.append(indent)
        lines[-1] += word if lines[-1] in ("", indent) else f" {word}"
        while len(lines[-1]) > width:  # a word that fills the line by itself
            lines[-1:] = [lines[-1][:width], indent + lines[-1][width:]]
    return lines


@dataclass(frozen=True, slots=True)
class Style:
    """How lines look: their width (None: as long as they are), and whether there are colours."""

    width: int | None = None
    colours: bool = False

    def paint(self, text: str, colour: str) -> str:
        """`text` in a colour of ours, where there are colours."""
        code = _COLOURS.get(colour)
        return f"\x1b[{code}m{text}\x1b[0m" if self.colours and code and text else text


def style_of(stream: TextIO) -> Style:
    """As wide as the terminal that `stream` is, and in colour unless NO_COLOR or TERM forbid it; else plain."""
    try:
        if not stream.isatty():
            return Style()
        columns = os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return Style()
    return Style(columns, not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in ("dumb", None, ""))
