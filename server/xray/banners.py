"""What an operator should see before anything else: a blocked loop, a drain, a shortage. Pure."""

from collections import Counter
from dataclasses import dataclass

from server.xray.cut import Cut, Seen
from server.xray.recorder import passages
from server.xray.snapshot import Row, identity_of, row, span
from statemachines.connection import State as C
from statemachines.listener import State as L
from statemachines.process import State as P

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


def banners(cut: Cut, bounds: Bounds) -> list[Banner]:
    """Everything that should be said of a cut, the worst first."""
    connections = [seen for seen in cut.seen if seen[0].engine.table.name == "connection"]
    found = [_blocked(cut), _paused(cut), _descriptors(bounds), _draining(cut, connections)]
    found.append(_slots(connections, bounds))
    levels = ("critical", "warning", "info")
    return sorted((one for one in found if one is not None), key=lambda one: levels.index(one.level))


def _blocked(cut: Cut) -> Banner | None:
    blocked = cut.blocked
    if blocked is None:
        return None
    seen = next((seen for seen in cut.seen if seen[0] is blocked.machine), None)
    text = f"The loop has been blocked for {span(blocked.seconds)}"
    if seen is not None:
        one = row(seen, cut.now)
        of = f" ({one.request})" if one.request else ""
        text += f" by connection {one.id}{of}" if one.kind == "connection" else f" by {one.id}"
    if blocked.stack:
        frame = blocked.stack[-1]
        text += f", in {frame.function} at {frame.file}:{frame.line}" + (f": {frame.code}" if frame.code else "")
    text += ". Nothing else is served meanwhile."
    return Banner("blocked", "critical", text, (identity_of(seen),) if seen else (), blocked.seconds)


def _paused(cut: Cut) -> Banner | None:
    for machine, node, since, glance in cut.seen:
        if node.state is L.PAUSED:
            last = next((edge.trigger for _, edge in reversed(passages(machine))), "")
            reason = "no descriptor is left" if last == "DESCRIPTORS_EXHAUSTED" else "there is no room"
            seconds = cut.now - since
            text = f"{glance[1]} has taken no new connections for {span(seconds)}: {reason}."
            return Banner("paused", "critical", text, (), seconds)
    return None


def _descriptors(bounds: Bounds) -> Banner | None:
    used = bounds.open_descriptors
    if used is None or used < SHORTAGE * bounds.descriptors:
        return None
    left = max(0, bounds.descriptors - used)
    level = "critical" if left == 0 else "warning"
    return Banner("descriptors", level, f"{used} of {bounds.descriptors} descriptors are open: {left} are left.")


def _draining(cut: Cut, connections: list[Seen]) -> Banner | None:
    """What holds the shutdown, and until when."""
    for seen in cut.seen:
        if seen[1].state is not P.DRAINING:
            continue
        this = row(seen, cut.now)
        left = max(0.0, this.deadline.remaining) if this.deadline is not None else 0.0
        rows = sorted((row(one, cut.now) for one in connections), key=lambda one: -one.seconds)
        text = f"Draining for {span(this.seconds)}; {_held_by(rows)} What is left in {left:.1f} s is cut."
        return Banner("draining", "warning", text, tuple(one.id for one in rows[:NAMED]), left)
    return None


def _held_by(rows: list[Row]) -> str:
    if not rows:
        return "nothing holds it."
    words = "; ".join(f"{one.id}: {one.why}" for one in rows[:NAMED])
    more = f"; and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
    held = "1 connection holds it" if len(rows) == 1 else f"{len(rows)} connections hold it"
    return f"{held}: {words}{more}."


def _slots(connections: list[Seen], bounds: Bounds) -> Banner | None:
    """Slots that run short, and what they are taken by: most of all those that do nothing."""
    used = len(connections)
    if used < SHORTAGE * bounds.slots:
        return None
    state, count = Counter(node.state for _, node, _, _ in connections).most_common(1)[0]
    words = "idle keep-alive" if state is C.AWAITING_REQUEST else state
    verb = "is" if count == 1 else "are"
    text = f"{count} of {bounds.slots} slots {verb} {words}; {used} are taken in all."
    return Banner("capacity", "warning", text, (), None)
