"""What an operator should see before anything else: a blocked loop, a drain, a shortage. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nsmallest

from clerestory.handlers.api.operations import span
from clerestory.server.observer import Missed
from clerestory.server.xray.observe.cut import Cut
from clerestory.server.xray.observe.missed import words
from clerestory.server.xray.observe.recorder import history_of
from clerestory.server.xray.observe.seen import Seen
from clerestory.server.xray.observe.snapshot import Row, Standing, identity_of, row, standing
from clerestory.server.xray.observe.upstreams import down, upstreams
from clerestory.statemachines.connection import State as C
from clerestory.statemachines.listener import State as L
from clerestory.statemachines.process import State as P
from clerestory.statemachines.tables import CARRIERS, CLIENTS

SHORTAGE = 0.9
"""The share of connection slots, or of descriptors, from which on we warn: there is still time to do something."""

NAMED = 5
"""Connections that a banner names; the others it counts."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the process may have: connection slots; descriptors, and how many of these are open (None: not known)."""

    slots: int
    descriptors: int
    open_descriptors: int | None = None


@dataclass(frozen=True, slots=True)
class Banner:
    """`level` is critical, warning or info; `connections` are the ids of those that it is about, a few at most."""

    kind: str
    level: str
    text: str
    connections: tuple[str, ...] = ()
    seconds: float | None = None


def banners(cut: Cut, bounds: Bounds, missed: Sequence[Missed] = ()) -> list[Banner]:
    """Everything that should be said of a cut, and of requests that were missed lately, the worst first."""
    where = standing(cut)
    found = [_blocked(cut), _paused(cut), _descriptors(bounds), _draining(cut, where), _slots(where, bounds)]
    found += [_missed(cut, missed), _upstreams(cut)]
    levels = ("critical", "warning", "info")
    return sorted((one for one in found if one is not None), key=lambda one: levels.index(one.level))


def _upstreams(cut: Cut) -> Banner | None:
    """Upstreams that are down: critical where none is left."""
    found = upstreams(cut)
    text = down(found)
    if not text:
        return None
    level = "warning" if any(one.is_up for one in found) else "critical"
    gone = [one.since for one in found if not one.is_up]
    return Banner("upstream", level, text[0].upper() + text[1:], (), max(gone))


def _missed(cut: Cut, missed: Sequence[Missed]) -> Banner | None:
    if not missed:
        return None
    named = tuple(dict.fromkeys(str(one.number) for one in reversed(missed)))[:NAMED]
    return Banner("missed", "warning", words(missed), named, cut.now - missed[-1].came_at)


def longest(cut: Cut, most: int) -> list[Seen]:
    """The connections that have been longest in their state, at most so many."""
    connections = cut.seen.at(lambda machine, _: machine.engine.table.name in CARRIERS)
    return [cut.seen[position] for position in nsmallest(most, connections, key=cut.seen.since)]


def _blocked(cut: Cut) -> Banner | None:
    blocked = cut.blocked
    if blocked is None:
        return None
    seen = next((seen for seen in cut.seen if seen[0] is blocked.machine), None)
    text = f"The loop has been blocked for {span(blocked.seconds)}"
    if seen is not None:
        one = row(seen, cut.now)
        of = f" ({one.request})" if one.request else ""
        text += f" by connection {one.id}{of}" if one.kind in CARRIERS else f" by {one.id}"
    if blocked.stack:
        frame = blocked.stack[-1]
        text += f", in {frame.function} at {frame.file}:{frame.line}" + (f": {frame.code}" if frame.code else "")
    text += ". Nothing else is served meanwhile."
    return Banner("blocked", "critical", text, (identity_of(seen),) if seen else (), blocked.seconds)


def _paused(cut: Cut) -> Banner | None:
    paused = cut.seen.at(lambda _, node: node.state is L.PAUSED)
    if not paused:
        return None
    machine, _, since, fields = cut.seen[paused[0]]
    last = next((edge.trigger for _, edge in reversed(history_of(machine))), "")
    reason = "no descriptor is left" if last == "DESCRIPTORS_EXHAUSTED" else "there is no room"
    seconds = cut.now - since
    text = f"{fields[1]} has accepted no new connections for {span(seconds)}: {reason}."
    return Banner("paused", "critical", text, (), seconds)


def _descriptors(bounds: Bounds) -> Banner | None:
    used = bounds.open_descriptors
    if used is None or used < SHORTAGE * bounds.descriptors:
        return None
    left = max(0, bounds.descriptors - used)
    level = "critical" if left == 0 else "warning"
    return Banner("descriptors", level, f"{used:,} of {bounds.descriptors:,} descriptors are open: {left:,} are left.")


def _draining(cut: Cut, where: list[Standing]) -> Banner | None:
    """What holds the shutdown, and until when."""
    draining = cut.seen.at(lambda _, node: node.state in (P.AWAITING_LAST_REQUESTS, P.DRAINING))
    if not draining:
        return None
    this = row(cut.seen[draining[0]], cut.now)
    left = max(0.0, this.deadline.remaining) if this.deadline is not None else 0.0
    machine, node = cut.seen[draining[0]][:2]
    if node.state is P.AWAITING_LAST_REQUESTS:
        left += sum(one.limit for one in machine.engine.nodes if one.state is P.DRAINING)
    rows = [row(seen, cut.now) for seen in longest(cut, NAMED)]
    count = sum(here.count for here in where if here.kind in CLIENTS)
    text = f"Shutting down for {span(this.seconds)}: {_held_by(rows, count)} In {left:.1f} s what is left is closed."
    return Banner("draining", "warning", text, tuple(one.id for one in rows), left)


def _held_by(rows: list[Row], count: int) -> str:
    if not rows:
        return "waiting for nothing."
    words = "; ".join(f"{one.id}: {one.why}" for one in rows)
    more = f"; and {count - len(rows)} more" if count > len(rows) else ""
    held = "1 connection" if count == 1 else f"{count:,} connections"
    return f"waiting for {held} ({words}{more})."


def _slots(where: list[Standing], bounds: Bounds) -> Banner | None:
    """Slots that run short, and what they are taken by: most of all those that do nothing."""
    held = [here for here in where if here.kind in CLIENTS]
    used = sum(here.count for here in held)
    if not held or used < SHORTAGE * bounds.slots:
        return None
    most = max(held, key=lambda here: here.count)
    words = "idle keep-alive" if most.state is C.AWAITING_REQUEST else most.state
    verb = "is" if most.count == 1 else "are"
    text = f"{most.count:,} of {bounds.slots:,} slots {verb} {words}; {used:,} are taken in all."
    return Banner("capacity", "warning", text)
