"""What the machines of a server did together (tests.support.held), held against the worlds of `proof`.

A world is tried where it fits: that of a process where there is one listener, with a sample of the connections where
there are many; that of a gateway where there is one connection to the upstream at a time, and few clients. What it
refuses fails the test, with the step that no way leads to.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from clerestory.statemachines import connection
from clerestory.statemachines.tables import TABLES
from proof.explorer import BORN
from proof.traces import Follower, Step, Undecided
from proof.worlds.gateway import proxying
from proof.worlds.process import draining

CONNECTIONS, CALLERS, PIECES = 40, 3, 12
"""Connections that are held in the world of a process; how many at once in that of a gateway, and pieces of
bodies on one of them."""

LEFT_OUT = ("HANDSHAKING", "TUNNELLING")
"""States of connections that have no place in the world of a gateway."""

STEPS = 3_000

TOLD = ("SLOT_FREED", "BACKEND_ANSWERED")
"""Triggers of messages that another machine's walk has sent."""


def traces(folder: Path) -> list[list[Step]]:
    """The traces of the loops that served, of all processes that wrote to `folder`."""
    found = []
    for path in sorted(folder.glob("*.walks")):
        loops: dict[str, list[list[str]]] = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            noted = line.split()
            loops.setdefault(noted[0], []).append(noted)
        noted_of = map(trace_of, loops.values())
        found += [trace for trace in noted_of if any(step.table == "process" for step in trace)]
    return found


def trace_of(lines: Iterable[Sequence[object]]) -> list[Step]:
    """The trace of what tests.support.held has noted."""
    found = []
    for _, machine, table, row, hands in lines:
        found.append(Step(str(machine), str(table), int(str(row)), str(hands).replace("-", "")))
    return found


def held(trace: Sequence[Step]) -> tuple[list[str], list[str]]:
    """The worlds that `trace` was held against, and what these refuse of it, as it was noted and with those first who
    are told of something: there is one order for a world, or neither."""
    tried, refused = [], []
    for noted, other in zip(_fitting(trace), _fitting(told_first(trace)), strict=True):
        said = None
        for _, follower, shown in (noted, other):
            with suppress(Undecided):
                said = follower.follow(shown).refused
                if not said:
                    break
        if said is not None:
            tried.append(noted[0])
        if said:
            refused.append(f"{noted[0]}: {said}")
    return tried, refused


def told_first(trace: Sequence[Step]) -> list[Step]:
    """The same, with those who are told of something before what is written meanwhile: in a long turn the loop writes
    what was put off (Loop.defer_write) before it has told all, which the worlds do in the next turn."""
    walks: list[list[Step]] = []
    for step in trace:
        if walks and walks[-1][-1].machine == step.machine and walks[-1][-1].hands:
            walks[-1].append(step)
        else:
            walks.append([step])
    found: list[list[Step]] = []
    for walk in walks:
        at = len(found)
        if _trigger(walk[0]) in TOLD:
            while (
                at and _trigger(found[at - 1][-1]) == "OUTPUT_FLUSHED" and found[at - 1][0].machine != walk[0].machine
            ):
                at -= 1
        found.insert(at, walk)
    return [step for walk in found for step in walk]


def _trigger(step: Step) -> str:
    return str(TABLES[step.table].rows[step.row].trigger) if step.row != BORN else ""


def sampled(trace: Sequence[Step], most: int = CONNECTIONS) -> list[Step]:
    """The same of at most so many of its connections, evenly spread, and the one that ended last: how many others there
    are is not known to the world of a process."""
    made = [step.machine for step in trace if step.table == "connection" and step.row == BORN]
    if len(made) <= most:
        return list(trace)
    last = next(step.machine for step in reversed(trace) if step.table == "connection")
    kept = {*(made[at * len(made) // (most - 1)] for at in range(most - 1)), last}
    return [step for step in trace if step.table != "connection" or step.machine in kept]


def _fitting(trace: Sequence[Step]) -> Iterable[tuple[str, Follower, Sequence[Step]]]:
    """The worlds that fit, and what of the trace is held against each."""
    listeners = {step.machine for step in trace if step.table == "listener" and step.row != BORN}
    shown = sampled(trace)
    if len(listeners) == 1 and len(shown) <= STEPS:
        clients = max(_made(shown), 1)
        yield "process", Follower(draining(clients, 1, clients, 3, strangers=True), ["connection"]), shown
    callers, pieces = _at_once(trace, "connection"), _pieces(trace)
    plain = not any(TABLES[step.table].rows[step.row].dest in LEFT_OUT for step in trace if step.row != BORN)
    is_small = callers <= CALLERS and pieces <= PIECES and len(trace) <= STEPS
    if plain and is_small and _at_once(trace, "upstream") == 1:
        yield "gateway", Follower(proxying(callers, range(1, pieces + 2)), ["connection"]), trace


def _made(trace: Sequence[Step]) -> int:
    return sum(step.table == "connection" and step.row == BORN for step in trace)


def _pieces(trace: Sequence[Step]) -> int:
    """How many pieces of bodies have come on one connection at most."""
    rows = connection.TABLE.rows
    came = [
        step.machine
        for step in trace
        if step.table == "connection" and step.row != BORN and rows[step.row].trigger == "BODY_RECEIVED"
    ]
    return max(Counter(came).values(), default=0)


def _at_once(trace: Sequence[Step], name: str) -> int:
    """How many machines of a table there were at once."""
    table = TABLES[name]
    finals = {number for number, row in enumerate(table.rows) if table.spec(row.dest).final}
    there: set[str] = set()
    most = 0
    for step in trace:
        if step.table == name:
            there = there - {step.machine} if step.row in finals else there | {step.machine}
            most = max(most, len(there))
    return most
