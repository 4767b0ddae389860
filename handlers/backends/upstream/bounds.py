"""How much is asked of one upstream at a time: the bounds of its pool, by default or by a server's options."""

from collections.abc import Mapping
from typing import NamedTuple, Self

from clerestory.handlers.backends.pool.bounds import (
    UPSTREAM_CLIENT_SHARE,
    UPSTREAM_CONNECTIONS,
    UPSTREAM_INTERIM,
    UPSTREAM_REQUESTS,
    UPSTREAM_STREAMS,
    UPSTREAM_TUNNELS,
    UPSTREAM_UNREQUESTED,
    UPSTREAM_WAITING,
    UPSTREAM_WAITING_BYTES,
)
from clerestory.statemachines import slot


class Bounds(NamedTuple):
    """How many connections there may be, how many calls may wait for one and for how many seconds, how many exchanges
    there are on a connection, how many interim answers in one, how many connections may be tunnels and how many
    streams, what percentage of the connections one client may have, how many bytes the waiting calls may hold, and how
    often the upstream may send unrequested data (0: as often as it likes)."""

    max_connections: int = int(UPSTREAM_CONNECTIONS.default)
    max_waiting: int = int(UPSTREAM_WAITING.default)
    slot_timeout: float = slot.CONNECTION.seconds
    max_served: int = int(UPSTREAM_REQUESTS.default)
    max_interim: int = int(UPSTREAM_INTERIM.default)
    max_tunnels: int = int(UPSTREAM_TUNNELS.default)
    max_streams: int = int(UPSTREAM_STREAMS.default)
    client_share: int = int(UPSTREAM_CLIENT_SHARE.default)
    max_waiting_bytes: int = int(UPSTREAM_WAITING_BYTES.default)
    max_unrequested: int = int(UPSTREAM_UNREQUESTED.default)

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
            int(limits.get(UPSTREAM_STREAMS.option, UPSTREAM_STREAMS.default)),
            int(limits.get(UPSTREAM_CLIENT_SHARE.option, UPSTREAM_CLIENT_SHARE.default)),
            int(limits.get(UPSTREAM_WAITING_BYTES.option, UPSTREAM_WAITING_BYTES.default)),
            int(limits.get(UPSTREAM_UNREQUESTED.option, UPSTREAM_UNREQUESTED.default)),
        )

    def share_of(self, count: int) -> int:
        """How many of `count` one client may have: at least one."""
        percent = self.client_share
        return count if not 0 < percent < 100 else max(1, -(-count * percent // 100))

    @property
    def descriptors(self) -> int:
        """How many descriptors its connections may take at most."""
        return self.max_connections + self.max_tunnels + self.max_streams
