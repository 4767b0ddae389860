"""A cut put into words: for each machine what it waits for, since when, until when, and on whom. Pure.

Nothing here knows the kinds of machines: a kind is its table's name, what a state waits for stands in its spec, and
whatever else there is to say the machine has said itself (contract.Facts).
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from clerestory.handlers.api.operations import span
from clerestory.server.xray.observe.cut import Cut
from clerestory.server.xray.observe.seen import Seen
from clerestory.server.xray.serve.redaction import hidden
from clerestory.statemachines.connection import BACKEND
from clerestory.statemachines.connection import State as S
from clerestory.statemachines.contract import Facts, Interest
from clerestory.statemachines.engine import Node
from clerestory.statemachines.tables import CARRIERS, TABLES

LONGEST = 256
"""Characters of a request's target that a row shows; the whole of it is on the machine's own page."""

WAITING = (S.QUERYING_BACKEND, S.HALF_CLOSED, S.PRODUCING)
"""Where a connection waits for its handler, and the handler's operation."""

SAME = 0.05
"""Seconds by which two clocks may differ that are shown as one: tenths are shown."""


@dataclass(slots=True)
class Due:
    """When a state's deadline fires: `name` of `seconds` in all, in `remaining` seconds (negative: any moment now).

    `by` says which clock runs out first: `time` in the state, or in that of the machine that keeps an operation's time;
    in a paced state `idle` (no byte moved) or `rate` (bytes move too slowly). `idle` and `rate` are the remaining
    seconds of these two, None where there is none.
    """

    name: str
    by: str
    seconds: float
    remaining: float
    idle: float | None = None
    rate: float | None = None


@dataclass(slots=True)
class Row:
    """One machine."""

    id: str
    kind: str
    descriptor: int
    peer: str
    state: str
    waits_for: str
    true_while: str
    seconds: float
    deadline: Due | None
    request: str
    request_id: str
    status: int | None
    bytes_in: int
    bytes_out: int
    requests: int
    age: float | None
    chain: list[str] = field(default_factory=list)
    why: str = ""


def identity(kind: str, number: int | str, descriptor: int) -> str:
    """What a machine is called: its own number where it has one (`17`, or `17/5` for a stream of HTTP/2), else its kind
    and descriptor: `listener:5`."""
    return str(number) if kind in CARRIERS else f"{kind}:{number or descriptor}"


def identity_of(seen: Seen) -> str:
    """The name of a machine in a cut."""
    machine, _, _, fields = seen
    return identity(machine.engine.table.name, fields[0] if fields else 0, machine.descriptor)


def due(node: Node, since: float, facts: Facts, now: float) -> Due | None:
    """Which deadline of a state fires next, and when."""
    deadline = node.deadline
    if deadline is None:
        return None
    timed = node.state in WAITING or node.state == S.TUNNELLING
    if timed and facts.operation is not None and facts.operation.keeps_time():
        return _due_by(facts.operation.timed_by(), now)
    if facts.pace is None:
        return Due(deadline.name, "time", node.limit, since + node.limit - now)
    limit, rate, grace = facts.pace
    if node.state in WAITING and facts.progressed == since:  # the request's own limit: no bytes are counted
        return Due(deadline.name if limit == node.limit else BACKEND.name, "time", limit, since + limit - now)
    idle = max(since, facts.progressed) + limit - now
    if not rate:
        return Due(deadline.name, "idle", limit, idle, idle)
    # Bytes must have moved at `rate` once the grace is over: without a further one, until then.
    slow = facts.moved / rate + grace - (facts.waited + now - since)
    by = "idle" if idle <= slow else "rate"
    return Due(deadline.name, by, limit, min(idle, slow), idle, slow)


def _due_by(machine: Any, now: float) -> Due | None:
    """The deadline of the machine that keeps the time of what is waited for; read while it may go on."""
    if machine is None:
        return None
    node, since = machine.node, machine.since
    if node.deadline is None:
        return None
    return Due(node.deadline.name, "time", node.limit, since + node.limit - now)


def request_line(request: Any, *, secrets: bool = False, longest: int | None = LONGEST) -> str:
    """`GET /emails/7`; a query is `?...`, unless `secrets` are asked for."""
    if request is None:
        return ""
    target = request.target
    if not secrets and ("?" in target or "#" in target):
        target = hidden(target)
    if longest is not None and len(target) > longest:
        target = target[:longest] + "..."
    return f"{request.method} {target}"


def chain_of(node: Node, facts: Facts) -> list[str]:
    """What is waited for, from the nearest on."""
    if facts.operation is not None:
        return _describe(facts.operation).split(" <- ")
    waits_for = node.spec.waits_for
    if waits_for is Interest.NOTHING:
        return [node.spec.awaits] if node.spec.awaits else []
    if facts.request is not None and not waits_for & (Interest.READABLE | Interest.WRITABLE):
        return ["the handler runs"]
    phrase = _phrase(node)
    return [f"{facts.peer} {phrase}" if facts.peer else phrase]


@lru_cache(maxsize=256)
def _phrase(node: Node) -> str:
    """What a node's state waits for, in words: they are made once, not for each of ten thousand rows."""
    return node.spec.phrase()


def _details(machine: Any) -> str:
    """What there is to say of flow control, by machines that have a method `details`: asked for while they go on."""
    try:
        told = str(getattr(machine, "details", str)())
    except Exception:  # noqa: BLE001 - it has just ended
        return ""
    return f" ({told})" if told else ""


def _describe(operation: Any) -> str:
    """An operation's own words. They are asked for from another thread while it goes on: it may just have ended."""
    try:
        return str(operation.describe())
    except BaseException as error:  # noqa: BLE001 - what cannot be described is still waited for
        return f"{type(operation).__name__} ({error})"


def why(state: str, seconds: float, deadline: Due | None, request: str, chain: list[str]) -> str:
    """`GET /emails/7 QUERYING_BACKEND 1.2 s of 75 s <- work#3 RUNNING find 1.2 s`."""
    text = f"{request} {state} {span(seconds)}" if request else f"{state} {span(seconds)}"
    if deadline is not None:
        if deadline.by == "time" and abs(deadline.seconds - seconds - deadline.remaining) < SAME:
            text = f"{text} of {deadline.seconds:g} s"
        elif deadline.by == "time":  # it began at another time than the state
            text = f"{text}, {deadline.name} deadline in {max(0.0, deadline.remaining):.1f} s"
        else:
            text = f"{text}, {deadline.name} {deadline.by} deadline in {max(0.0, deadline.remaining):.1f} s"
    return " <- ".join((text, *chain))


def row(seen: Seen, now: float, *, secrets: bool = False, longest: int | None = LONGEST) -> Row:
    """One machine of a cut in words."""
    machine, node, since, fields = seen
    facts = Facts(*fields)
    spec, kind = node.spec, machine.engine.table.name
    seconds = max(0.0, now - since)
    deadline = due(node, since, facts, now)
    request = request_line(facts.request, secrets=secrets, longest=longest)
    chain = chain_of(node, facts)
    if kind in CARRIERS and chain:
        chain[0] += _details(machine)
    return Row(
        identity(kind, facts.number, machine.descriptor),
        kind,
        machine.descriptor,
        facts.peer,
        spec.state,
        _phrase(node),
        spec.true_while,
        seconds,
        deadline,
        request,
        facts.request.id if facts.request is not None and kind in CARRIERS else "",
        facts.status,
        facts.bytes_in,
        facts.bytes_out,
        facts.served,
        max(0.0, now - facts.born) if facts.born else None,
        chain,
        why(spec.state, seconds, deadline, request, chain),
    )


@dataclass(slots=True)
class Standing:
    """The machines of one kind in one state: how many, and since when the first of them."""

    kind: str
    state: str
    count: int
    since: float


def standing(cut: Cut) -> list[Standing]:
    """Who stands where."""
    return [
        Standing(crowd.machine.engine.table.name, node.state, crowd.count, crowd.since)
        for node, crowd in cut.seen.crowds().items()
    ]


def counts(cut: Cut) -> dict[str, dict[str, int]]:
    """How many machines of each kind stand in each state: every state of every kind, 0 included."""
    found = {name: {str(spec.state): 0 for spec in table.specs} for name, table in TABLES.items()}
    for here in standing(cut):
        states = found.setdefault(here.kind, {})
        states[here.state] = states.get(here.state, 0) + here.count
    return found
