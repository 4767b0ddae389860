"""The environ of a request, as PEP 3333 has it.

- Text is latin-1, "bytes in strings". `PATH_INFO` is percent-decoded; `RAW_URI` and `REQUEST_URI` are the target as it
  came.
- `SCRIPT_NAME` is `--root-path`, and nothing that a client sends.
- A field whose name has a `_` is left out: `X_Y` and `X-Y` would be the same variable, and one of them is what a proxy
  in front has checked. `Proxy` is left out: `HTTP_PROXY` is what HTTP clients take for their proxy's address.
- The length of a chunked body is not known: there is no `CONTENT_LENGTH`, and `wsgi.input_terminated` says that
  `wsgi.input` ends by itself.
- `HTTPS` is `on` where `wsgi.url_scheme` is `https`. A client's certificate, and whom it names, are in
  `SSL_CLIENT_CERT` and `SSL_CLIENT_S_DN`, as Apache's mod_ssl calls them; no field of a request can have these names.
- `clerestory.request_id` is the id under which the request is logged, and in errors.
- Who the client is, a peer may say only where it is trusted, as for ASGI applications (handlers.asgi.scope).
"""

import ssl
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

from clerestory.handlers.api.messages import Request
from clerestory.handlers.asgi.scope import Scopes, address
from clerestory.handlers.proxy.forwarding import Network
from clerestory.handlers.wsgi.files import FileWrapper

PROTOCOLS = ("HTTP/1.0", "HTTP/1.1", "HTTP/2")
"""What `SERVER_PROTOCOL` is, by a request's `minor`."""

KEPT = 1024
"""Field names of which it is remembered what they are called."""


class Environs:
    """Makes environs for an application that is mounted at `root_path`. Threads may share it."""

    __slots__ = ("_base", "_names", "_scopes", "_trusted")

    def __init__(self, root_path: str = "", trusted: Iterable[Network] = ()) -> None:
        root = root_path.rstrip("/")
        self._base: dict[str, Any] = {
            "SCRIPT_NAME": root.encode("utf-8", "surrogateescape").decode("latin-1"),
            "wsgi.version": (1, 0),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "wsgi.file_wrapper": FileWrapper,
        }
        self._trusted = tuple(trusted)
        self._scopes = Scopes("", self._trusted)
        self._names: dict[bytes, str] = {}

    def make(self, request: Request, peer: str, here: Any, stream: Any, errors: Any) -> dict[str, Any]:
        """The environ of `request`, which came from `peer` to `here` (getsockname(2))."""
        client, scheme, fields = address(peer), request.scheme, request.fields
        if self._trusted:
            said = self._scopes.make(request, client, None)
            client, scheme, fields = said["client"], said["scheme"], said["headers"]
        path = request.path
        if "%" in path:
            path = unquote_to_bytes(path).decode("latin-1")
        environ = self._base.copy()
        environ["REQUEST_METHOD"] = request.method
        environ["PATH_INFO"] = path if path != "*" else ""
        environ["QUERY_STRING"] = request.query
        environ["RAW_URI"] = environ["REQUEST_URI"] = request.target
        environ["SERVER_PROTOCOL"] = PROTOCOLS[request.minor]
        if isinstance(here, tuple):
            environ["SERVER_NAME"], environ["SERVER_PORT"] = here[0], str(here[1])
        else:  # neither may be empty; behind a Unix socket the Host field is what tells
            environ["SERVER_NAME"], environ["SERVER_PORT"] = "localhost", "80"
        environ["REMOTE_ADDR"] = client[0] if client is not None else ""
        if client is not None:
            environ["REMOTE_PORT"] = str(client[1])
        environ["wsgi.url_scheme"] = scheme
        if scheme == "https":
            environ["HTTPS"] = "on"
        if request.security is not None and request.security.certificate is not None:
            environ["SSL_CLIENT_S_DN"] = request.security.subject
            environ["SSL_CLIENT_CERT"] = ssl.DER_cert_to_PEM_cert(request.security.certificate)
        environ["wsgi.input"] = stream
        environ["wsgi.input_terminated"] = request.content_length is None
        environ["wsgi.errors"] = errors
        environ["clerestory.request_id"] = request.id
        self._add_fields(environ, fields)
        return environ

    def _add_fields(self, environ: dict[str, Any], fields: Iterable[tuple[bytes, bytes]]) -> None:
        names = self._names
        for name, value in fields:
            key = names.get(name)
            if key is None:
                key = self._name(name)
            if not key:
                continue
            text = value.decode("latin-1")
            if key in environ:
                text = f"{environ[key]}{'; ' if name == b'cookie' else ','}{text}"
            environ[key] = text

    def _name(self, name: bytes) -> str:
        """What a field is called in an environ; empty where it is not to be there."""
        text = name.decode("latin-1").lower()
        if "_" in text or text == "proxy":
            key = ""
        elif text in ("content-type", "content-length"):
            key = text.upper().replace("-", "_")
        else:
            key = "HTTP_" + text.upper().replace("-", "_")
        if len(self._names) >= KEPT:
            self._names.clear()
        self._names[name] = key
        return key
