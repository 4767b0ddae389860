"""From http:// to https://: a server that speaks TLS, and listens without TLS beside it only to say where to go.

- 308 (RFC 9110 section 15.4.9): the client repeats its method and its body.
- The Location is the host that the client asked for, if a certificate of ours is for it: a redirect to any other host
  would be an open redirect, or lead to a warning of the browser. Others are told 421 (section 15.5.20).
- Nothing else is served without TLS.
"""

from collections.abc import Callable, Mapping
from typing import Any

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Request, Response

HTTPS_PORT = 443

CACHING = (b"cache-control", b"max-age=3600")
"""Without it, browsers keep a permanent redirect for as long as they like."""


class ToHTTPS:
    """The application `inner`, for requests that come over TLS; others are redirected.

    `is_ours` says whether a certificate is for a host (lower case, without brackets); `port` is where https:// is
    served.
    """

    def __init__(self, inner: Any, is_ours: Callable[[str], bool], port: Callable[[], int]) -> None:
        self.inner = inner
        self._begin = getattr(inner, "begin", None)
        self._is_ours = is_ours
        self._port = port

    def begin(self, request: Request, carrier: Any) -> Any:
        """Hand `request` on, or redirect it. Raises HTTPError 400, 421, and what the application raises."""
        if request.security is None:
            return self.redirect(request)
        return self.inner(request) if self._begin is None else self._begin(request, carrier)

    def redirect(self, request: Request) -> Response:
        """Where `request` is served over TLS. Raises HTTPError 400, 421."""
        host = host_of(request.authority)
        if not host:
            raise HTTPError(400, "The request names no host (Host), so there is nowhere to redirect it to.")
        if not self._is_ours(host):
            raise HTTPError(421, "No certificate of this server is for the host that the request names.")
        port = self._port()
        authority = f"[{host}]" if ":" in host else host
        if port != HTTPS_PORT:
            authority = f"{authority}:{port}"
        query = f"?{request.query}" if request.query else ""
        location = f"https://{authority}{request.path}{query}".encode("ascii", "replace")
        return Response(status=308, fields=((b"location", location), CACHING))

    def descriptors(self, limits: Mapping[str, float]) -> int:
        """How many descriptors the application takes at most, where it says so."""
        tell = getattr(self.inner, "descriptors", None)
        return int(tell(limits)) if callable(tell) else 0


def host_of(authority: bytes) -> str:
    """The host of an authority in lower case, without its port, brackets and final dot; an IPvFuture, a zone and
    whatever is not ASCII is no host."""
    text = authority.decode("ascii", "replace").lower()
    host = text[1 : text.find("]")] if text.startswith("[") else text.partition(":")[0]
    host = host.removesuffix(".")
    return host if all(one.isalnum() or one in ".-_:" for one in host) and host.isascii() else ""
