"""Who makes room when the x-ray is full: a client that asks for nothing, or may not ask.

The x-ray has few connections, and a person on call needs one just when something goes wrong. Connections that nobody
uses must not keep them out, however many there are: neither a browser's spare ones, nor those of somebody who opens
them for that purpose. So a further client takes the place of

1. one that has never asked for anything, the oldest first;
2. one that has been answered, and idles, the longest first;
3. one without the token that does not take its answer.

Never of one that has the token and is being answered, nor of one that has just come.
"""

from collections.abc import Callable, Iterable

from clerestory.handlers.api.messages import Request
from clerestory.statemachines.connection import State as S
from clerestory.statemachines.contract import Facts
from clerestory.statemachines.engine import Machine

GRACE = 1 / 32
"""Seconds that a client has for its first request to come, once it has connected, while others wait: thirty times what
it takes on this machine. With a thousand before it, a probe then waits for about a second."""

STUCK = 0.25
"""Seconds that a client without the token has to take an answer."""

RESTING = (S.AWAITING_REQUEST, S.READING_HEAD, S.LINGERING)
"""Where a connection has no request to answer."""

WORKING = (S.QUERYING_BACKEND, S.PRODUCING, S.HALF_CLOSED)
"""Where its client waits for us."""


def dispensable(connections: Iterable[Machine], now: float, is_known: Callable[[Request], bool]) -> Machine | None:
    """The connection that makes room for another; None where each is needed."""
    best: tuple[int, float] | None = None
    found: Machine | None = None
    for machine in connections:
        rank = _rank(machine, now, is_known)
        if rank is not None and (best is None or (rank, machine.since) < best):
            best, found = (rank, machine.since), machine
    return found


def _rank(machine: Machine, now: float, is_known: Callable[[Request], bool]) -> int | None:
    """How easily it is done without: 0 the most; None where it is needed."""
    state, facts = machine.node.state, Facts(*machine.facts())
    stayed = now - machine.since
    if state in RESTING:
        if facts.served:
            return 1
        return 0 if now - facts.born >= GRACE else None
    if state in WORKING or stayed < STUCK:
        return None
    return 2 if facts.request is None or not is_known(facts.request) else None
