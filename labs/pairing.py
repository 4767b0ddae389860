"""What two machines that talk to each other did, told side by side: from the passages of a walk (`labs.stepping`)."""

from collections import defaultdict
from collections.abc import Mapping
from itertools import pairwise
from typing import Final

from benchmarks.report import Table
from benchmarks.summary import duration
from clerestory.statemachines.engine import Machine
from labs.plotting import Lane, Span, Tone, timeline
from labs.stepping import Walk

CLIENT, SERVER, STORE = "upstream", "connection", "store"
RESTING: Final = {"IDLE", "AWAITING_REQUEST"}
"""Where the two are between two requests, each waiting for the other to want something."""


def name_of(machine: Machine) -> str:
    """Which table a machine runs."""
    return machine.engine.table.name


def side_by_side(walk: Walk) -> Table:
    """Every passage of the two, each in its own column."""
    columns = ("after", "the client's machine", "the server's machine")
    table = Table("Both ends of one connection", columns, left=frozenset(columns[1:]))
    begun = walk.passages[0][0]
    for at, machine, edge in walk.passages:
        told = f"{edge.trigger} -> {edge.dest.state}"
        if name_of(machine) != STORE:
            cells = (told, "") if name_of(machine) == CLIENT else ("", told)
            table.rows.append((duration(at - begun), *cells))
    return table


def dwell_together(walk: Walk) -> dict[tuple[str, str], float]:
    """Seconds that the two ends have spent in each pair of states, from the client's first passage to its last."""
    found: dict[tuple[str, str], float] = defaultdict(float)
    states: dict[str, str] = {}
    before = 0.0
    for at, machine, edge in walk.passages:
        name = name_of(machine)
        if name == STORE:
            continue
        if states:
            found[states[CLIENT], states.get(SERVER, "AWAITING_REQUEST")] += at - before
        states[name], before = edge.dest.state, at
        if edge.dest.final:
            break
    return found


def together_table(waits: Mapping[tuple[str, str], float]) -> Table:
    table = Table(
        "Where both were at the same time, while a request was under way",
        ("the client", "the server", "for", "share"),
        left=frozenset({"the server"}),
        note="The server is AWAITING_REQUEST while the request, or the answer's last bytes, are on their way.",
    )
    total = sum(waits.values())
    for (client, server), seconds in sorted(waits.items(), key=lambda item: -item[1]):
        table.rows.append((client, server, duration(seconds), f"{seconds / total:.1%}"))
    return table


TONES: Final = {
    "IDLE": Tone.QUIET,
    "AWAITING_REQUEST": Tone.QUIET,
    "CONNECTING": Tone.FOURTH,
    "SENDING_REQUEST": Tone.FOURTH,
    "SENDING_RESPONSE": Tone.FOURTH,
    "QUERYING_BACKEND": Tone.WARM,
}


def draw(walk: Walk, title: str, lead: str) -> str:
    """The states of the machines that have moved on one time axis."""
    begun, ended = walk.passages[0][0], walk.passages[-1][0]
    lanes = []
    for name, place in ((CLIENT, "client"), (SERVER, "server"), (STORE, "query of the store")):
        passages = [(at - begun, edge) for at, machine, edge in walk.passages if name_of(machine) == name]
        spans = [
            Span(at, end, TONES.get(edge.dest.state, Tone.OURS), edge.dest.state)
            for (at, edge), (end, _) in pairwise([*passages, (ended - begun, None)])
            if edge is not None and not edge.dest.final
        ]
        lanes += [Lane(place, spans)] if spans else []
    return timeline(title, lead, lanes)
