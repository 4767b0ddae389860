"""The upstreams of a server, as its breakers, their connections and their queues show them. Pure.

What is known of one stands in several machines: its breaker has its state and what it failed with last, each connection
whether it is in use, each place in the queue that a request waits. They are put together by the upstream's name.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from clerestory.handlers.api.operations import span
from clerestory.handlers.backends.upstream.health import Health
from clerestory.server.xray.observe.cut import Cut
from clerestory.server.xray.observe.recorder import history_of
from clerestory.server.xray.observe.shares import Counts, quantile_of
from clerestory.statemachines.breaker import State as S


@dataclass(slots=True)
class Upstream:
    """One upstream: `since` is seconds that it is up, or down. `answered` and `failed` are of all time, `p50` and
    `p99` seconds that clients have waited for it lately, None where none has."""

    name: str
    state: str
    since: float
    answered: int
    failed: int
    failure: str
    failed_ago: float | None
    in_flight: int = 0
    waiting: int = 0
    p50: float | None = None
    p99: float | None = None
    is_up: bool = True
    may_be_asked: bool = True
    """Whether it is up, or a request is to find out: one that nobody asks any more never comes back."""


def upstreams(cut: Cut, counts: Mapping[str, Counts] | None = None) -> list[Upstream]:
    """The upstreams that there are, by name. `counts` are the profile's, by `upstream NAME`."""
    found: dict[str, Upstream] = {}
    for position in cut.seen.at(lambda machine, _: machine.engine.table.name == "breaker"):
        machine, node, since, _ = cut.seen[position]
        if not isinstance(machine, Health) or node.final:
            continue
        if node.state is not S.UP:  # it goes down, is tried, and goes down again
            since = next((at for at, edge in reversed(history_of(machine)) if edge.source.state is S.UP), since)
        ago = cut.now - machine.failed_at if machine.failed_at else None
        found[machine.where] = Upstream(
            machine.where,
            str(node.state),
            max(0.0, cut.now - since),
            machine.answered,
            machine.failed_ever,
            machine.reason,
            ago,
            is_up=node.state is S.UP,
            may_be_asked=node.state in (S.UP, S.TRYING),
        )
    for position in cut.seen.at(lambda machine, _: machine.engine.table.name in ("upstream", "upstream_slot")):
        machine, node, _, fields = cut.seen[position]
        one = found.get(str(fields[1])) if len(fields) > 1 else None
        if one is None:
            continue
        if machine.engine.table.name == "upstream_slot":
            one.waiting += 1
        elif str(node.state) != "IDLE":
            one.in_flight += 1
    for name, one in found.items():
        known = (counts or {}).get(f"upstream {name}")
        if known:
            one.p50, one.p99 = quantile_of(known, 0.5), quantile_of(known, 0.99)
    return [found[name] for name in sorted(found)]


def down(found: list[Upstream]) -> str:
    """What should be said of upstreams that are down: empty where all are up."""
    gone = [one for one in found if not one.is_up]
    if not gone:
        return ""
    told = "; ".join(_told(one) for one in gone[:5])
    more = f"; and {len(gone) - 5} more" if len(gone) > 5 else ""
    if len(gone) == len(found):
        return f"No upstream is up: {told}{more}. Requests are answered with 502 or 503."
    left = len(found) - len(gone)
    return f"{told}{more}. The other {left} {'has' if left == 1 else 'have'} all the requests."


def _told(one: Upstream) -> str:
    reason = f": {one.failure}" if one.failure else ""
    return f"upstream {one.name} has been down for {span(one.since)}{reason}"
