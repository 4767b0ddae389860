"""Machines, one line each.

    17  127.0.0.1:5000  GET /emails/7 QUERYING_BACKEND 1.2 s of 30 s <- work#1 RUNNING find 1.2 s

The last column is the why line. What waits for what, and until when, is cut last: where a line is too long, the middle
of the request's target goes first, then the middle of what is waited on; then, for the whole page, the peer's column.
Where that column is shown, the why line does not say the peer's address again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from server.xray.terminal.client import JSON
from server.xray.terminal.text import Style, bare, shorten, span

LEAST_REQUEST = 16
"""Columns below which a request line tells nothing: `GET /ema…ls?...`."""

LEAST_CHAIN = 12
"""Columns below which what is waited on tells nothing."""

SOON = 0.2
"""The share of a deadline that is left when the line is coloured as a warning."""

ARROW = " <- "


@dataclass(frozen=True, slots=True)
class Line:
    """A row in printable words: `request core <- chain`. `core` is the state and its times. `mark` is its colour."""

    id: str
    peer: str
    request: str
    core: str
    chain: str
    mark: str

    def why(self, width: int | None = None) -> str:
        """The why line, in at most `width` columns."""
        request, chain = self.request, self.chain
        over = self._length(request, chain) - width if width is not None else 0
        if over > 0 and len(request) > LEAST_REQUEST:
            request = shorten(request, max(LEAST_REQUEST, len(request) - over))
            over = self._length(request, chain) - (width or 0)
        if over > 0 and len(chain) > LEAST_CHAIN:
            chain = shorten(chain, max(LEAST_CHAIN, len(chain) - over))
            over = self._length(request, chain) - (width or 0)
        if over > 0 and request:
            request = ""
            over = self._length(request, chain) - (width or 0)
        if over > 0:
            chain = ""
        text = " ".join(part for part in (request, self.core) if part) + (ARROW + chain if chain else "")
        return text if width is None else shorten(text, width)

    def least(self) -> int:
        """Columns that the why line needs before something is lost that matters."""
        return self._length(self.request[:LEAST_REQUEST], self.chain[:LEAST_CHAIN])

    def _length(self, request: str, chain: str) -> int:
        return len(request) + bool(request) + len(self.core) + (len(ARROW) + len(chain) if chain else 0)


def line_of(row: JSON, *, with_peer: bool) -> Line:
    """A row (server.xray.shape) as a line. `with_peer`: there is a column for the peer."""
    request, peer, links = bare(row["request"]), bare(row["peer"]), [bare(link) for link in row["chain"]]
    core = bare(row["why"]).removeprefix(f"{request} ").removesuffix(ARROW + ARROW.join(links))
    if with_peer and peer:
        links = [f"client {link.removeprefix(peer).strip()}" if link.startswith(f"{peer} ") else link for link in links]
    return Line(bare(row["id"]), peer, request, core, ARROW.join(links), _mark(row))


def _mark(row: JSON) -> str:
    """The colour: what will soon be ended by its deadline, what is at rest, and the others."""
    deadline = row["deadline"]
    if deadline is not None and row["state"] != "AWAITING_REQUEST":
        if deadline["remaining"] <= 0:
            return "critical"
        if deadline["remaining"] < SOON * deadline["seconds"]:
            return "warning"
    return "dim" if row["state"] == "AWAITING_REQUEST" else ""


def groups(found: Sequence[JSON], by: str, style: Style) -> list[str]:
    """Counts, the largest first: `   90     12.0 s  AWAITING_REQUEST`."""
    lines = [f"{one['count']:>7,}  {span(one['oldest']):>11}  {bare(one['key'])}" for one in found]
    lines = lines if style.width is None else [shorten(line, style.width) for line in lines]
    return [style.paint(f"{'COUNT':>7}  {'OLDEST':>11}  {by.upper()}", "bold"), *lines]


def table(rows: Sequence[JSON], style: Style, chosen: int | None = None) -> list[str]:
    """A heading, and a line for each row; the one that is `chosen` stands out."""
    lines = [line_of(row, with_peer=True) for row in rows]
    ids = max([len("ID"), *(len(line.id) for line in lines)])
    peers = max([len("PEER"), *(len(line.peer) for line in lines)])
    room = style.width - ids - 2 if style.width is not None else None
    with_peer = room is None or all(line.least() <= room - peers - 2 for line in lines)
    if not with_peer:
        lines = [line_of(row, with_peer=False) for row in rows]
    if room is not None and with_peer:
        room -= peers + 2
    heading = f"{'ID':<{ids}}  " + (f"{'PEER':<{peers}}  " if with_peer else "") + "WHY"
    found = [style.paint(heading if style.width is None else heading[: style.width], "bold")]
    for number, line in enumerate(lines):
        text = f"{line.id:<{ids}}  " + (f"{line.peer:<{peers}}  " if with_peer else "") + line.why(room)
        if style.width is not None:
            text = text[: style.width]
            text = f"{text:<{style.width}}" if number == chosen else text
        found.append(style.paint(text, "chosen" if number == chosen else line.mark))
    return found
