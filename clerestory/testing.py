"""Tests of an application without a network: `Client(router).get("/orders/1").json()`.

The whole server is there, but for the listener: each request passes the gate, the parser and the connection's machine
over a pair of connected sockets, on a loop that turns only while an answer is awaited. What a handler raises that is no
HTTPError is raised in the test.
"""

import json
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

import h11

from clerestory.handlers.api.messages import Application
from clerestory.handlers.api.tasks import background_of
from clerestory.handlers.wire.transport import TCP
from clerestory.server.config import Limits
from clerestory.server.connection.connection import Connection
from clerestory.server.connection.service import Service
from clerestory.server.http import codec_for
from clerestory.server.logging.logs import Logs
from clerestory.server.loop.loop import Loop
from clerestory.server.loop.poller import open_poller
from clerestory.server.process.hooks import Hooks
from clerestory.statemachines.engine import Machine

if TYPE_CHECKING:
    from clerestory.testing_websocket import TestSocket

TIMEOUT = 10.0
"""Seconds until an answer that does not come is a TimeoutError."""
_BOUNDARY = "the-boundary-of-the-test-client"


class Answer:
    """What has come back. `fields` are name and value, the name in lower case; `headers` has the last of each name."""

    def __init__(self, status: int, fields: list[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.fields = fields
        self.headers = dict(fields)
        self.body = body

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<Answer {self.status}, {len(self.body)} bytes>"


class _Logs(Logs):
    """Keeps the events, and what handlers have raised."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.raised: list[BaseException] = []
        self.access = self.debug_enabled = self.queries = self.terminal = False
        self.debug = self.info = self.warning = self.error = self.always = self._note
        self.request = lambda *_: None

    def _note(self, event: str, **fields: Any) -> None:
        self.events.append((event, fields))
        if event == "handler_failed":
            self.raised.append(fields["exc_info"])

    def event(self, level: str, name: str, **fields: Any) -> None:  # noqa: ARG002
        self._note(name, **fields)


class Client:
    """A client of `application`: a router, or a function of one request. ASGI and WSGI applications have clients of
    their own. `limits` are options of the server: `Client(router, backend_timeout=0.1)`. Cookies are kept.

    The start hooks run when it is made, the stop hooks when it is closed: close it, or use it in a `with`. With
    `raises=False` what a handler raises is a 500, as it is to all other clients. Raises RuntimeError where a start hook
    fails.
    """

    def __init__(
        self, application: Application, *, raises: bool = True, timeout: float = TIMEOUT, **limits: Any
    ) -> None:
        self._raises = raises
        self._timeout = timeout
        self._logs = _Logs()
        bounds = Limits(**limits)
        self._loop = Loop(open_poller(), self._crashed, limits=asdict(bounds))
        self._service = Service(application, self._loop, bounds, self._logs, codec_for("auto"), Connection)
        self._loop.adopt(None)
        self._hooks = Hooks(application, self._loop, bounds, self._logs)
        if self._hooks.start() is not None:
            raise RuntimeError(self._logs.events[-1][1]["reason"])
        self.cookies: dict[str, str] = {}

    def _crashed(self, machine: Machine, error: BaseException) -> None:  # noqa: ARG002
        self._logs.raised.append(error)

    def request(
        self,
        method: str,
        target: str,
        *,
        query: Mapping[str, Any] | Iterable[tuple[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        json: object = None,
        form: Mapping[str, Any] | None = None,
        files: Mapping[str, tuple[str, bytes]] | None = None,
    ) -> Answer:
        """Send a request, and wait for its answer. Of `body`, `json` and `form` one is given; with a form `files`, each
        a name and its content. Raises what the handler raised; TimeoutError."""
        fields = {"host": "testing"} | {name.lower(): value for name, value in (headers or {}).items()}
        if json is not None:
            body = _dumped(json)
            fields.setdefault("content-type", "application/json")
        elif files is not None:
            body = _multipart(form or {}, files)
            fields.setdefault("content-type", f"multipart/form-data; boundary={_BOUNDARY}")
        elif form is not None:
            body = urlencode(form, doseq=True).encode()
            fields.setdefault("content-type", "application/x-www-form-urlencoded")
        if body or method in ("POST", "PUT", "PATCH"):
            fields.setdefault("content-length", str(len(body)))
        if self.cookies:
            fields.setdefault("cookie", self._kept())
        pairs = urlencode(list(query.items() if isinstance(query, Mapping) else query), doseq=True)
        target += ("&" if "?" in target else "?") * bool(pairs) + pairs
        answer = self._exchange(method, target, list(fields.items()), body)
        for name, value in answer.fields:
            if name == "set-cookie":
                self._keep(value)
        return answer

    def get(self, target: str, **more: Any) -> Answer:
        """GET, as `request`."""
        return self.request("GET", target, **more)

    def post(self, target: str, **more: Any) -> Answer:
        """POST, as `request`."""
        return self.request("POST", target, **more)

    def put(self, target: str, **more: Any) -> Answer:
        """PUT, as `request`."""
        return self.request("PUT", target, **more)

    def patch(self, target: str, **more: Any) -> Answer:
        """PATCH, as `request`."""
        return self.request("PATCH", target, **more)

    def delete(self, target: str, **more: Any) -> Answer:
        """DELETE, as `request`."""
        return self.request("DELETE", target, **more)

    def websocket(
        self, target: str, *, headers: Mapping[str, str] | None = None, subprotocols: Sequence[str] = ()
    ) -> "TestSocket":
        """A WebSocket, to be used in a `with`. Raises what the handler raised; TimeoutError; WebSocketRefused
        (clerestory.testing_websocket) where the handshake is not answered with 101."""
        from clerestory.testing_websocket import TestSocket

        fields = dict(headers or {})
        if self.cookies:
            fields.setdefault("cookie", self._kept())
        far = self._connect()
        try:
            return TestSocket(far, self._waiting, target, fields, subprotocols)
        except BaseException:
            far.close()
            raise

    def _kept(self) -> str:
        """The cookies, as they are sent."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def _keep(self, cookie: str) -> None:
        """A Set-Cookie: kept, or forgotten where it has ended. Paths and domains are not looked at."""
        pair, _, attributes = cookie.partition(";")
        name, _, value = pair.partition("=")
        if "max-age=0" in attributes.lower().replace(" ", "").split(";"):
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value

    def _exchange(self, method: str, target: str, fields: list[tuple[str, str]], body: bytes) -> Answer:
        with self._connect() as far:
            client = h11.Connection(h11.CLIENT)
            head = h11.Request(method=method, target=target, headers=fields)
            events = [head, h11.Data(body), h11.EndOfMessage()] if body else [head, h11.EndOfMessage()]
            output = b"".join(client.send(event) or b"" for event in events)
            return self._await(client, far, output)

    def _connect(self) -> socket.socket:
        """The client's end of a new connection."""
        near, far = socket.socketpair()
        near.setblocking(False)
        far.setblocking(False)
        self._loop.add(Connection(self._service, TCP(near), near.fileno(), "testing"))
        return far

    def _check(self) -> None:
        if self._raises and self._logs.raised:
            raise self._logs.raised.pop()

    def _waiting(self) -> Callable[[], None]:
        """Something is waited for from now on: what lets the server go on meanwhile, until that takes too long. Both
        raise what a handler has raised."""
        self._check()
        late = self._loop.clock() + self._timeout

        def step() -> None:
            self._check()
            if self._loop.clock() > late:
                raise TimeoutError(f"no answer within {self._timeout:g} s")
            self._turn()

        return step

    def _await(self, client: h11.Connection, far: socket.socket, output: bytes) -> Answer:
        """Turn the loop until the whole answer has come."""
        status, fields, received = 0, [], bytearray()
        step = self._waiting()
        while True:
            output = output[self._sent(far, output) :]
            event = client.next_event()
            if event is h11.NEED_DATA:
                step()
                _feed(client, far)
            elif isinstance(event, h11.Response):
                status, fields = (
                    event.status_code,
                    [(name.decode(), value.decode("latin-1")) for name, value in event.headers],
                )
            elif isinstance(event, h11.Data):
                received += event.data
            elif isinstance(event, h11.EndOfMessage):
                self._check()
                return Answer(status, fields, bytes(received))

    def _sent(self, far: socket.socket, output: bytes) -> int:
        try:
            return far.send(output) if output else 0
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            return 0

    def _turn(self) -> None:
        self._loop.turn(min(0.01, self._loop.poll_timeout() or 0.01))

    def close(self) -> None:
        """Let what is in the background end, run the stop hooks, and close what is open."""
        background, late = background_of(self._loop), self._loop.clock() + self._timeout
        while background.runs and self._loop.clock() < late:
            self._turn()
        self._hooks.stop()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _feed(client: h11.Connection, far: socket.socket) -> None:
    try:
        client.receive_data(far.recv(65536))
    except (BlockingIOError, ConnectionResetError):
        return


def _multipart(form: Mapping[str, Any], files: Mapping[str, tuple[str, bytes]]) -> bytes:
    """A form with files (RFC 7578)."""
    parts = [(f'name="{name}"', str(value).encode()) for name, value in form.items()]
    parts += [(f'name="{name}"; filename="{filename}"', content) for name, (filename, content) in files.items()]
    head = f"--{_BOUNDARY}\r\nContent-Disposition: form-data; "
    whole = b"".join(f"{head}{names}\r\n\r\n".encode() + content + b"\r\n" for names, content in parts)
    return whole + f"--{_BOUNDARY}--\r\n".encode()


def _dumped(value: object) -> bytes:
    return json.dumps(value).encode()
