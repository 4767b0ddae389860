"""How much is asked of one upstream at a time: the bounds of its pool, by default or by a server's options."""

from collections.abc import Mapping
from typing import NamedTuple, Self

from handlers.backends.bounds import (
    UPSTREAM_CONNECTIONS,
    UPSTREAM_INTERIM,
    UPSTREAM_REQUESTS,
    UPSTREAM_TUNNELS,
    UPSTREAM_WAITING,
)
from statemachines import slot


class Bounds(NamedTuple):
    """How many connections there may be, how many calls may wait for one and for how many seconds, how many exchanges
    there are on a connection, how many interim answers in one, and how many connections may be tunnels."""

    max_connections: int = int(UPSTREAM_CONNECTIONS.default)
    max_waiting: int = int(UPSTREAM_WAITING.default)
    slot_timeout: float = slot.CONNECTION.seconds
    max_served: int = int(UPSTREAM_REQUESTS.default)
    max_interim: int = int(UPSTREAM_INTERIM.default)
    max_tunnels: int = int(UPSTREAM_TUNNELS.default)

    @classmethod
    def of(cls, limits: Mapping[str, float]) -> Self:
        """Those among a loop's limits, by option; the default for what is not there."""
        return cls(
            int(limits.get(UPSTREAM_CONNECTIONS.option, UPSTREAM_CONNECTIONS.default)),
            int(limits.get(UPSTREAM_WAITING.option, UPSTREAM_WAITING.default)),
            limits.get(slot.CONNECTION.option, slot.CONNECTION.seconds),
            int(limits.get(UPSTREAM_REQUESTS.option, UPSTREAM_REQUESTS.default)),
            int(limits.get(UPSTREAM_INTERIM.option, UPSTREAM_INTERIM.default)),
            int(limits.get(UPSTREAM_TUNNELS.option, UPSTREAM_TUNNELS.default)),
        )
