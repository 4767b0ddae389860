"""The x-ray's endpoints as a client sees them: http.client over TCP or over a Unix socket, JSON in and out.

Whatever goes wrong is an XRayError of one line that says what to do.
"""

import http.client
import json
import re
import socket
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar
from urllib.parse import quote, urlencode

from clerestory.server.xray.terminal.waits import Reached, Waits

JSON = dict[str, Any]

T = TypeVar("T")
Read = Callable[[bytes], T | None]
"""Makes something of an answer; None where that cannot be made of it."""

TIMEOUT = 10.0
"""Seconds without an answer: a healthy x-ray takes a tenth of one, with ten thousand connections and a blocked loop."""

MOST = 64 << 20
"""Bytes of one answer that we read: three times what 20,000 rows take."""

_TCP = re.compile(r"(?:https?://)?(\[[0-9A-Fa-f:.%a-z]+\]|[^\[\]:\s/@]+):([0-9]{1,5})/?", re.ASCII)


class XRayError(Exception):
    """What was asked cannot be had; the message is one line."""


class GoneError(XRayError):
    """The machine that was asked for is not there (any more)."""


class _Connection(http.client.HTTPConnection):
    """HTTP over TCP, or over a socket in the file system, that waits with `waits`."""

    def __init__(self, host: str, port: int, path: str, timeout: float, waits: Waits) -> None:
        super().__init__(host, port or None, timeout=timeout)
        self._path = path
        self._poll_timeout = timeout
        self._waits = waits

    def connect(self) -> None:
        """As HTTPConnection.connect: the first address of the name that answers."""
        refused: OSError | None = None
        for family, address in self._addresses():
            try:
                self.sock = Reached.to(family, address, self._waits, self._poll_timeout)
            except OSError as error:
                refused = error
            else:
                return
        raise refused or OSError(f"{self.host} has no address")

    def _addresses(self) -> list[tuple[int, Any]]:
        if self._path:
            return [(socket.AF_UNIX, self._path)]
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        return [(family, address) for family, _, _, _, address in found]


def connection_to(address: str, timeout: float = TIMEOUT, waits: Waits | None = None) -> http.client.HTTPConnection:
    """What speaks to `address`: HOST:PORT, http://HOST:PORT/ as the start-up line has it, or unix:PATH."""
    waits = waits or Waits()
    if address.startswith("unix:"):
        path = address.removeprefix("unix:").removeprefix("//")
        if not path or "\0" in path or len(path.encode()) > 100:
            raise XRayError(f"{address!r}: write unix: and a path of at most 100 bytes")
        return _Connection("localhost", 0, path, timeout, waits)
    match = _TCP.fullmatch(address)
    if match is None or not 0 < int(match[2]) < 65536:
        raise XRayError(
            f"{address!r} is not the address of an x-ray: write HOST:PORT, such as 127.0.0.1:8001, or unix:PATH"
        )
    return _Connection(match[1].strip("[]"), int(match[2]), "", timeout, waits)


class XRay(Protocol):
    """What the commands ask: the x-ray of one server, or of several as one. `address` is for a reader."""

    address: str

    def get(self, path: str, parameters: Mapping[str, object] | None = None) -> JSON:
        """The document there. Raises XRayError."""

    def post(self, path: str, parameters: Mapping[str, object] | None = None) -> JSON:
        """Change something; what came of it. Raises XRayError."""

    def one(self, identity: str, *, secrets: bool = False) -> JSON:
        """Everything about one machine, open or ended. Raises GoneError."""

    def export(self, identity: str, form: str, *, secrets: bool = False) -> str:
        """One machine, open or ended, in the format `form`. Raises GoneError."""

    def close(self) -> None:
        """Give the connections back."""


class Client:
    """The x-ray at `address`. `token` is what it takes; `waits` are what it waits with."""

    def __init__(self, address: str, token: str = "", timeout: float = TIMEOUT, waits: Waits | None = None) -> None:
        self.address = address
        self._token = token
        self._connection = connection_to(address, timeout, waits)

    def close(self) -> None:
        """As XRay.close."""
        self._connection.close()

    def get(self, path: str, parameters: Mapping[str, object] | None = None) -> JSON:
        """As XRay.get."""
        return self._ask("GET", path, parameters, _document)

    def post(self, path: str, parameters: Mapping[str, object] | None = None) -> JSON:
        """As XRay.post."""
        return self._ask("POST", path, parameters, _document)

    def one(self, identity: str, *, secrets: bool = False) -> JSON:
        """As XRay.one."""
        return self._one(identity, {"secrets": "1" if secrets else ""}, _document)

    def export(self, identity: str, form: str, *, secrets: bool = False) -> str:
        """As XRay.export."""
        return self._one(identity, {"format": form, "secrets": "1" if secrets else ""}, _text)

    def _one(self, identity: str, parameters: Mapping[str, object], read: Read[T]) -> T:
        path = f"/connections/{quote(identity, safe=':')}"
        try:
            return self._ask("GET", path, parameters, read)
        except GoneError as error:
            raise GoneError(
                f"There is no connection {identity}, open or remembered: ps lists the open ones."
            ) from error

    def _ask(self, method: str, path: str, parameters: Mapping[str, object] | None, read: Read[T]) -> T:
        given = {name: value for name, value in (parameters or {}).items() if value not in ("", None)}
        target = f"{path}?{urlencode(given)}" if given else path
        status, data = self._exchange(method, target)
        found = read(data) if status == 200 else None
        if found is not None:
            return found
        raise self._refused(status, _document(data), path)

    def _exchange(self, method: str, target: str) -> tuple[int, bytes]:
        """One request. A kept connection that was closed meanwhile is opened again, once, where that is safe."""
        kept = self._connection.sock is not None
        try:
            return self._send(method, target)
        except (http.client.RemoteDisconnected, ConnectionError) as error:
            if not kept or method != "GET":
                raise self._unreachable(error) from error
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        try:
            return self._send(method, target)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error

    def _send(self, method: str, target: str) -> tuple[int, bytes]:
        fields = {"Accept": "application/json"}
        if self._token:
            fields["X-Clerestory-Token"] = self._token
        try:
            self._connection.request(method, target, headers=fields)
            answer = self._connection.getresponse()
            return answer.status, answer.read(MOST)
        except BaseException:
            self._connection.close()
            raise

    def _unreachable(self, error: Exception) -> XRayError:
        if isinstance(error, TimeoutError):
            return XRayError(
                f"{self.address} does not answer within {self._connection.timeout:g} s: is it the x-ray's?"
            )
        if isinstance(error, http.client.HTTPException) and not isinstance(error, ConnectionError):
            return XRayError(f"{self.address} does not speak HTTP: the start-up line says where the x-ray is")
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return XRayError(f"{self.address}: {reason}: is the server running? The start-up line says where its x-ray is")

    def _refused(self, status: int, document: object, path: str) -> XRayError:
        detail = document.get("detail") if isinstance(document, dict) else None
        if status == 401:
            what = "does not know this token: set CLERESTORY_TOKEN to its own"
            return XRayError(f"{self.address} {what if self._token else 'takes a token: set CLERESTORY_TOKEN'}")
        if status == 503 and not isinstance(detail, str):
            return XRayError(f"the x-ray at {self.address} is full: all its connections are in use; try again")
        if not isinstance(detail, str) or status == 200 or (status == 404 and not path.startswith("/connections/")):
            return XRayError(f"{self.address} is not an x-ray (status {status}): the start-up line says where that is")
        return GoneError(detail) if status == 404 else XRayError(detail)


def _document(data: bytes) -> JSON | None:
    """The JSON object that `data` is; None where it is none."""
    try:
        found = json.loads(data)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _text(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
