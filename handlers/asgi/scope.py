"""The scope of a request, as the ASGI HTTP specification has it.

- `path` is decoded, with `root_path` before it; `raw_path` is the path as it came, without the query. Bytes that are no
  UTF-8 are kept in `path` as surrogate escapes, so that two paths never look alike that are not; a `%2F` is a `/` in
  `path` and itself in `raw_path`.
- Who the client is, a peer may say only where it is trusted (`trusted`): the address, scheme and host of `Forwarded` or
  `X-Forwarded-*` count then. Several fields are read as one list, from the right: the first address that is not
  itself trusted is the client.
- `extensions` has `tls` where the request came over TLS.
- `clerestory.request_id` is the id under which the request is logged, and in errors.
- `state` is a shallow copy of what the lifespan left in its own.
"""

import ssl
from collections.abc import Iterable
from functools import cache
from typing import Any
from urllib.parse import unquote_to_bytes

from clerestory.handlers.api.messages import Request
from clerestory.handlers.api.security import Security
from clerestory.handlers.asgi.extensions import EARLY_HINT, FILES, TRAILERS, takes_trailers
from clerestory.handlers.proxy.forwarding import Network, is_trusted, peer_host

Address = tuple[str, int | None]

EXTENSIONS = FILES
"""What else than bodies in bytes an application may send."""

WEBSOCKET_EXTENSIONS = ("websocket.http.response",)
"""What else than accept and close may answer a WebSocket's handshake."""

HTTP_VERSIONS = ("1.0", "1.1", "2")
"""What `http_version` is, by a request's `minor`."""

KEPT = 256
"""Paths of which it is remembered how they are decoded."""


def address(name: str) -> Address | None:
    """`127.0.0.1:4711` or `[::1]:4711` as a pair; None for a Unix socket's peer, which has no name."""
    host, _, port = name.rpartition(":")
    return (peer_host(name), int(port)) if host and port.isdigit() else None


VERSIONS = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}


@cache
def _suites() -> dict[str, int]:
    """The numbers of cipher suites (RFC 8446 section B.4), by OpenSSL's names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL")
    return {one["name"]: one["id"] & 0xFFFF for one in context.get_ciphers()}


def tls_of(security: Security) -> dict[str, Any]:
    """The `tls` extension: what was negotiated, and the client's certificate, where one was asked for."""
    shown = security.certificate
    return {
        "server_cert": security.own or None,
        "client_cert_chain": [ssl.DER_cert_to_PEM_cert(shown)] if shown is not None else [],
        "client_cert_name": security.subject or None,
        "client_cert_error": None,
        "tls_version": VERSIONS.get(security.version),
        "cipher_suite": _suites().get(security.cipher),
    }


class Scopes:
    """Makes scopes. `spec_version` is what an application is told of the specification that we keep."""

    __slots__ = ("_asgi", "_extensions", "_extensions_1_1", "_root", "_root_bytes", "_trusted", "shared")

    def __init__(self, root_path: str = "", trusted: Iterable[Network] = (), spec_version: str = "2.4") -> None:
        self._root = root_path.rstrip("/")
        self._root_bytes = self._root.encode("utf-8", "surrogateescape")
        self._trusted = tuple(trusted)
        self._asgi = {"version": "3.0", "spec_version": spec_version}
        self._extensions: dict[str, dict[str, Any]] = {name: {} for name in EXTENSIONS}
        self._extensions_1_1: dict[str, dict[str, Any]] = {**self._extensions, EARLY_HINT: {}}
        self.shared: dict[str, Any] | None = None
        """What the lifespan's scope has in its `state`; None where there is no lifespan."""

    def make(self, request: Request, client: Address | None, server: tuple[str, int | None] | None) -> dict[str, Any]:
        """The scope of `request`, which came from `client` to `server`."""
        path = request.path
        raw = path.encode("ascii")
        if "%" in path:
            path = unquote_to_bytes(raw).decode("utf-8", "surrogateescape")
        if self._root:
            path, raw = self._root + path, self._root_bytes + raw
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": self._asgi.copy(),
            "http_version": HTTP_VERSIONS[request.minor],
            "method": request.method,
            "scheme": request.scheme,
            "path": path,
            "raw_path": raw,
            "query_string": request.query.encode("ascii"),
            "root_path": self._root,
            "headers": list(request.fields),
            "client": client,
            "server": server,
            "clerestory.request_id": request.id,
            "extensions": self._extensions_1_1.copy() if request.minor else self._extensions.copy(),
        }
        if request.security is not None:
            scope["extensions"]["tls"] = tls_of(request.security)
        if takes_trailers(request):
            scope["extensions"][TRAILERS] = {}
        if self.shared is not None:
            scope["state"] = self.shared.copy()
        if self._trusted:
            self._believe(scope, request)
        return scope

    def client(self, request: Request) -> str:
        """The address of the client: what a trusted peer says, else the peer's own; empty for a Unix socket's."""
        scope: dict[str, Any] = {"client": address(request.peer), "headers": []}
        if self._trusted:
            self._believe(scope, request)
        return scope["client"][0] if scope["client"] is not None else ""

    def make_websocket(self, scope: dict[str, Any], subprotocols: list[str]) -> None:
        """Make of a request's scope the one of the WebSocket that it asks for."""
        scope["type"] = "websocket"
        scope["scheme"] = "wss" if scope["scheme"] == "https" else "ws"
        scope["subprotocols"] = subprotocols
        offered = scope["extensions"]
        scope["extensions"] = {name: {} for name in WEBSOCKET_EXTENSIONS}
        if "tls" in offered:
            scope["extensions"]["tls"] = offered["tls"]
        if scope["asgi"]["spec_version"] == "2.4":
            scope["asgi"]["spec_version"] = "2.5"  # of this specification: `disconnect` has a reason
        del scope["method"]

    # --- what a trusted peer says

    def _believe(self, scope: dict[str, Any], request: Request) -> None:
        peer = scope["client"]
        if peer is not None and not is_trusted(peer[0], self._trusted):
            return
        said = request.get(b"forwarded")
        if said is not None:
            self._believe_forwarded(scope, said.decode("latin-1"))
            return
        hosts = request.get(b"x-forwarded-for")
        if hosts is not None:
            self._take_client(scope, hosts.decode("latin-1").split(","))
        scheme = request.get(b"x-forwarded-proto")
        if scheme is not None:
            _take_scheme(scope, scheme.decode("latin-1").rpartition(",")[2])
        host = request.get(b"x-forwarded-host")
        if host is not None:
            _take_host(scope, host.rpartition(b",")[2].strip())

    def _believe_forwarded(self, scope: dict[str, Any], value: str) -> None:
        """RFC 7239: a list, each of whose elements says of one hop who asked, by what scheme, and for what host."""
        elements = [_pairs(element) for element in _split(value, ",")]
        self._take_client(scope, [element.get("for", "") for element in elements])
        last = elements[-1]
        if "proto" in last:
            _take_scheme(scope, last["proto"])
        if last.get("host"):
            _take_host(scope, last["host"].encode("latin-1"))

    def _take_client(self, scope: dict[str, Any], nodes: list[str]) -> None:
        """The last address in the list that is not a trusted proxy's own."""
        client: tuple[str, int] | None = None
        for node in reversed(nodes):
            found = _node(node.strip())
            if found is None:
                break
            client = found
            if not is_trusted(found[0], self._trusted):
                break
        if client is not None:
            scope["client"] = client


def _take_scheme(scope: dict[str, Any], said: str) -> None:
    scheme = said.strip().lower()
    if scheme in ("http", "https"):
        scope["scheme"] = scheme


def _take_host(scope: dict[str, Any], host: bytes) -> None:
    scope["headers"] = [(b"host", host), *(field for field in scope["headers"] if field[0] != b"host")]


def _split(text: str, mark: str) -> list[str]:
    """`text` split at `mark`, but not within quotes."""
    parts, quoted, start = [], False, 0
    for place, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif character == mark and not quoted:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]


def _pairs(element: str) -> dict[str, str]:
    """The parameters of one element of Forwarded."""
    found = {}
    for pair in _split(element, ";"):
        name, _, value = pair.strip().partition("=")
        found[name.lower()] = value.strip('"')
    return found


def _node(text: str) -> tuple[str, int] | None:
    """An address, with its port where one is given: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`."""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    if not host or not all(c.isalnum() or c in ".:" for c in host) or not any(c in ".:" for c in host):
        return None
    return host, int(port) if port.isdigit() and len(port) < 6 else 0
