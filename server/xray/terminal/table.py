"""Machines, one line each.

    17  127.0.0.1:5000  GET /emails/7 QUERYING_BACKEND 1.2 s of 75 s <- work#1 RUNNING find 1.2 s

The last column is the why line. Where a line is too long, it says less, the least telling first: the middle of the
request's target and of what is waited on is cut; the deadline is told as what is left of it, and then not at all; what
is waited on goes. The request, the state and the time in it stay, and so does the peer's column, down to 60 columns or
so. Where that column is shown, the why line does not say the peer's address again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from clerestory.server.xray.terminal.client import JSON
from clerestory.server.xray.terminal.text import Style, bare, shorten, span

LEAST_REQUEST = 16
"""Columns below which a request line tells nothing: `GET /ema…ls?...`."""

LEAST_CHAIN = 12
"""Columns below which what is waited on tells nothing."""

SOON = 0.2
"""The share of a deadline that is left when the line is coloured as a warning."""

ARROW = " <- "

CARRIERS = ("connection", "h2_connection", "h2_stream")
"""The kinds of machines whose peer is a client: as clerestory.statemachines.tables has them, which takes time to
import."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row in printable words: `request core <- chain`. `cores` say less and less of the state and its times.
    `mark` is its colour."""

    id: str
    generation: str
    peer: str
    request: str
    cores: tuple[str, ...]
    chain: str
    mark: str

    def why(self, width: int | None = None) -> str:
        """The why line, in at most `width` columns."""
        if width is None:
            return self._joined(self.request, self.cores[0], self.chain)
        names_peer = bool(self.peer) and self.chain.startswith(self.peer)
        for core, chain in self._shorter():
            told = len(chain) if names_peer else min(len(chain), LEAST_CHAIN)
            least = len(self._joined(self.request[:LEAST_REQUEST], core, chain[:told]))
            if least <= width:
                spare = width - least
                grown = min(len(chain), told + spare)
                spare -= grown - told
                request = shorten(self.request, min(len(self.request), LEAST_REQUEST) + spare)
                return self._joined(request, core, shorten(chain, grown))
        return shorten(self._joined(self.request[:LEAST_REQUEST], self.cores[-1], ""), width)

    def _shorter(self) -> list[tuple[str, str]]:
        """What is said of the state, and what is waited on: less and less."""
        return [(core, self.chain) for core in self.cores] + [(core, "") for core in self.cores[1:]]

    def least(self) -> int:
        """Columns that the why line needs before something is lost that matters."""
        return len(self._joined(self.request[:LEAST_REQUEST], self.cores[-1], ""))

    @staticmethod
    def _joined(request: str, core: str, chain: str) -> str:
        text = " ".join(part for part in (request, core) if part)
        return text + ARROW + chain if chain else text


def line_of(row: JSON, *, with_peer: bool) -> Line:
    """A row (server.xray.serve.shape) as a line. `with_peer`: there is a column for the peer."""
    request, peer, links = bare(row["request"]), bare(row["peer"]), [bare(link) for link in row["chain"]]
    core = bare(row["why"]).removeprefix(f"{request} ").removesuffix(ARROW + ARROW.join(links))
    if peer:
        client = "client" if row.get("kind", "connection") in CARRIERS else ""  # another's peer is none
        name = client if with_peer else peer
        links = [
            f"{name} {link.removeprefix(peer).strip()}".strip() if link.startswith(f"{peer} ") else link
            for link in links
        ]
    place = f"{bare(row['state'])} {span(row['seconds'])}"
    due = row["deadline"]
    left = (f"{place}, {span(max(0.0, due['remaining']))} left",) if due is not None else ()
    cores = (core, *(one for one in (*left, place) if len(one) < len(core)))
    generation = str(row.get("generation", ""))
    return Line(bare(row["id"]), generation, peer, request, cores, ARROW.join(links), _mark(row))


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
    return [style.paint(f"{'COUNT':>7}  {'OLDEST':>11}  {by.upper()}"[: style.width], "bold"), *lines]


def table(rows: Sequence[JSON], style: Style, chosen: int | None = None) -> list[str]:
    """A heading, and a line for each row; the one that is `chosen` stands out."""
    lines = [line_of(row, with_peer=True) for row in rows]
    ids = max([len("ID"), *(len(line.id) for line in lines)])
    generations = max([0, *(len(line.generation) for line in lines)])
    generations = max(len("GEN"), generations) if generations else 0
    if generations:  # of a supervisor's workers: which of them stands before the number
        names = [f"{line.id:<{ids}}  {line.generation:<{generations}}" for line in lines]
        ids += 2 + generations
    else:
        names = [line.id for line in lines]
    peers = max([len("PEER"), *(len(line.peer) for line in lines)])
    room = style.width - ids - 2 if style.width is not None else None
    with_peer = room is None or all(line.least() <= room - peers - 2 for line in lines)
    if not with_peer:
        lines = [line_of(row, with_peer=False) for row in rows]
    if room is not None and with_peer:
        room -= peers + 2
    label = f"{'ID':<{ids - generations}}GEN" if generations else "ID"
    heading = f"{label:<{ids}}  " + (f"{'PEER':<{peers}}  " if with_peer else "") + "WHY"
    found = [style.paint(heading if style.width is None else heading[: style.width], "bold")]
    for number, (name, line) in enumerate(zip(names, lines, strict=True)):
        text = f"{name:<{ids}}  " + (f"{line.peer:<{peers}}  " if with_peer else "") + line.why(room)
        if style.width is not None:
            text = text[: style.width]
            text = f"{text:<{style.width}}" if number == chosen else text
        found.append(style.paint(text, "chosen" if number == chosen else line.mark))
    return found
