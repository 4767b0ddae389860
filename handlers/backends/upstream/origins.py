"""Where one upstream service is: its origins, how each is reached, and the pools of connections that each loop has."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from clerestory.handlers.backends.upstream.bounds import Bounds
from clerestory.handlers.backends.upstream.pool import Pool
from clerestory.handlers.backends.upstream.probe import Prober, Probing
from clerestory.handlers.backends.upstream.request import HeadWriter
from clerestory.handlers.backends.upstream.tls import client_context
from clerestory.statemachines.loop import Loop

_is_host = re.compile(r"[A-Za-z0-9\-._~]+|[0-9A-Fa-f:.]+").fullmatch


class Origin(NamedTuple):
    """Where an upstream is, and whether TLS is spoken with it."""

    host: str
    port: int
    secret: bool


def parse_origin(url: str) -> Origin:
    """What `http://host[:port]` or `https://host[:port]` names. Raises ValueError for anything else."""
    if not url.isprintable():  # urlsplit drops line ends
        raise ValueError(f"{url!r} is not a URL")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"{url}: only http:// and https:// upstreams are asked")
    if parts.username is not None or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"{url}: an upstream is http://host:port, and nothing else")
    host = parts.hostname
    if host is None or not _is_host(host):
        raise ValueError(f"{url}: there is no host in it")
    secret = parts.scheme == "https"
    port = parts.port if parts.port is not None else 443 if secret else 80
    return Origin(host, port, secret)


class Site:
    """An upstream's origins as seen from one loop."""

    def __init__(self, upstream: "Origins", loop: Loop) -> None:
        self.pools = [
            Pool(host, port, loop, upstream.bounds, tls=upstream.tls if secret else None)
            for host, port, secret in upstream.origins
        ]
        if upstream.probing is not None:
            for pool, host in zip(self.pools, upstream.hosts, strict=True):
                Prober(pool, host, upstream.probing).begin()
        self._turn = 0

    def choose(self, tried: tuple[int, ...]) -> tuple[int, Pool]:
        """The pool with the fewest calls among those that are up and were not tried; equal ones take turns."""
        count = len(self.pools)
        if count == 1:
            return 0, self.pools[0]
        self._turn += 1
        order = [(self._turn + step) % count for step in range(count)]
        fresh = [index for index in order if index not in tried] or order
        up = [index for index in fresh if self.pools[index].is_up]
        if up:
            index = min(up, key=lambda one: self.pools[one].load)
        else:
            index = min(fresh, key=lambda one: self.pools[one].health.until)
        return index, self.pools[index]


class Origins:
    """The origins `urls` of one service; the connections to them are each loop's own. Raises ValueError for a URL that
    is no origin, OSError for a file without certificates."""

    def __init__(
        self, urls: Sequence[str], bounds: Bounds | None, probing: Probing | None, authorities: str | None
    ) -> None:
        if not urls:
            raise ValueError("an upstream has at least one origin")
        self.origins = [parse_origin(url) for url in urls]
        self.hosts = [url.partition("://")[2].rstrip("/").encode("ascii") for url in urls]
        has_tls = any(origin.secret for origin in self.origins)
        self.tls = client_context(authorities) if has_tls else None
        self.bounds = bounds
        self.probing = probing
        self._sites: list[Site] = []
        self._last: tuple[Loop | None, Any] = (None, None)
        self.heads = HeadWriter()

    def site(self, loop: Loop) -> Site:
        """The pools of `loop`."""
        if self._last[0] is loop:
            return self._last[1]  # type: ignore[no-any-return]
        site: Site | None = loop.registry.get(self)
        if site is None:
            site = loop.registry[self] = Site(self, loop)
            self._sites.append(site)
        self._last = (loop, site)
        return site

    def descriptors(self, limits: Mapping[str, float]) -> int:
        """How many descriptors its connections may take at most."""
        return len(self.origins) * (self.bounds or Bounds.of(limits)).descriptors

    def close(self) -> None:
        """Keep no connection any more."""
        for site in self._sites:
            for pool in site.pools:
                pool.close()
