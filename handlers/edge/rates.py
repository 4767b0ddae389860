"""A rate for each client: who asks more often is told 429 (RFC 6585 section 4), and when to come again.

Clients are told apart by their address, of IPv6 by the network of 64 bits, which is what one subscriber has; behind a
trusted proxy, by what that says. What is kept of one is a number, the time at which it would have used up what it has
(the generic cell rate algorithm, ITU-T I.371); of so many clients, and beyond that of those that came last.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Request, Response

MOST_CLIENTS = 65536
"""Clients that are kept: 10 MiB."""


class Rate(NamedTuple):
    """So many `requests` in `seconds`, and `burst` of them at once."""

    requests: int
    seconds: float
    burst: int


class RateLimit:
    """Admits each client at `rate`; `client` says who one is, by its address. `clients` counts those that are kept."""

    def __init__(self, rate: Rate, client: Callable[[Request], str], most: int = MOST_CLIENTS) -> None:
        self._interval = rate.seconds / rate.requests
        self._tolerance = self._interval * (rate.burst - 1)
        self._client = client
        self._most = most
        self._until: OrderedDict[str, float] = OrderedDict()

    @property
    def clients(self) -> int:
        """How many are kept."""
        return len(self._until)

    def admit(self, request: Request, now: float) -> Response | None:
        """As Check.admit. Raises HTTPError 429."""
        client = network_of(self._client(request))
        until = max(self._until.pop(client, now), now)
        early = until - now - self._tolerance
        if early > 1e-9:
            self._until[client] = until
            wait = max(1, math.ceil(early))
            raise HTTPError(429, f"Come again in {wait} s.", ((b"retry-after", b"%d" % wait),))
        while len(self._until) >= self._most:
            self._until.popitem(last=False)
        self._until[client] = until + self._interval
        return None


def network_of(host: str) -> str:
    """What tells clients apart: an IPv4 address, of IPv6 the first 64 bits, else what is given."""
    if ":" not in host:
        return host
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped is not None else str(IPv6Address(int(address) >> 64 << 64))
    return str(address)
