"""Several applications behind one server, chosen by the request's host and path.

- A site is chosen by its host first: one that names the host, then one of `*.example.com`, then those without a host;
  among these by the longest prefix of the path.
- Prefixes are compared by segments, percent-decoded once: an encoded slash is never a separator, and `/api` is no
  prefix of `/apis`.
- What is behind a prefix sees the path without it, and the prefix in `Request.base`; an application that is hosted has
  it as its root path. The prefix without its slash is redirected to the one with it, as in a router.
- A site may have limits of its own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Request, Response, RouteLimits


@dataclass(frozen=True, slots=True)
class Site:
    """An application, and what it is chosen by: `host` (lower case, without a port; `*.example.com` for every name
    below; empty for all), `prefix` (`/api`; empty for all). `limits` and `max_body` are its own; None means the
    server's."""

    application: Any
    prefix: str = ""
    host: str = ""
    limits: RouteLimits | None = None
    max_body: int | None = None

    @property
    def segments(self) -> list[str]:
        """The prefix's segments, decoded; the first is empty."""
        return self.prefix.split("/") if self.prefix else [""]


class Sites:
    """An application that hands each request to one of `sites`."""

    def __init__(self, sites: Iterable[Site]) -> None:
        ordered = sorted(sites, key=lambda site: (_rank(site.host), -len(site.segments), -len(site.host)))
        self._sites = [(site, site.segments) for site in ordered]

    @property
    def applications(self) -> list[Any]:
        """All of them, each once."""
        return list({id(site.application): site.application for site, _ in self._sites}.values())

    def __call__(self, _: Request) -> Any:
        """It may hold hosted applications, which are begun by the exchange that carries the request."""
        raise TypeError("sites are begun by the exchange that carries the request")

    def begin(self, request: Request, carrier: Any) -> Any:
        """Hand `request` to its site. Raises HTTPError 404 where there is none, 413 beyond the site's bound."""
        path = request.path
        raw = path.split("/") if path.startswith("/") else [""]
        segments = [unquote_to_bytes(one).decode("utf-8", "surrogateescape") for one in raw] if "%" in path else raw
        host = _host(request.authority)
        for site, prefix in self._sites:
            if segments[: len(prefix)] == prefix and (not site.host or _is_of(host, site.host)):
                return self._enter(site, request, raw[len(prefix) :], carrier)
        raise HTTPError(404, "There is nothing at this path.")

    def _enter(self, site: Site, request: Request, rest: list[str], carrier: Any) -> Any:
        if site.prefix:
            if not rest:
                query = f"?{request.query}" if request.query else ""
                location = f"{request.path}/{query}".encode("ascii", "replace")
                status = 301 if request.method in ("GET", "HEAD") else 308  # 301 would turn POST into GET
                return Response(status=status, fields=((b"location", location),))
            request.base += quote(site.prefix)
            request.path = "/" + "/".join(rest)
        if site.limits is not None:
            request.limits = site.limits
        if site.max_body is not None and not request.body_ended:
            request.body_limit = site.max_body
            if request.content_length is not None and request.content_length > site.max_body:
                raise HTTPError(413, f"The body may have at most {site.max_body} bytes here.")
        begin = getattr(site.application, "begin", None)
        return site.application(request) if begin is None else begin(request, carrier)

    def descriptors(self, limits: Mapping[str, float]) -> int:
        """How many descriptors all of them take at most, as far as they say so."""
        tells = [getattr(application, "descriptors", None) for application in self.applications]
        return sum(int(tell(limits)) for tell in tells if callable(tell))


def _rank(host: str) -> int:
    """The order in which hosts are tried: by name, by pattern, any."""
    return 2 if not host else 1 if host.startswith("*.") else 0


def _host(authority: bytes) -> str:
    """The host of an authority, without its port."""
    text = authority.decode("latin-1").lower()
    host = text[: text.find("]") + 1] if text.startswith("[") else text.partition(":")[0]
    return host.removesuffix(".")


def _is_of(host: str, wanted: str) -> bool:
    return host.endswith(wanted[1:]) if wanted.startswith("*.") else host == wanted
