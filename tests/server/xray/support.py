"""What the tests of the x-ray share: a server with its x-ray, live, in this process; and cuts through a bench."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, cast

from clerestory.handlers.api.messages import Request, Response
from clerestory.server.config import Limits
from clerestory.server.connection.connection import Connection
from clerestory.server.connection.service import Service
from clerestory.server.http import codec_for
from clerestory.server.http2.adoption import HTTP2
from clerestory.server.loop.loop import Loop
from clerestory.server.loop.poller import open_poller
from clerestory.server.net.listener import Listener
from clerestory.server.net.sockets import listen
from clerestory.server.xray.observe.banners import Bounds
from clerestory.server.xray.observe.cut import Cut, take
from clerestory.server.xray.observe.recorder import Recorder
from clerestory.server.xray.observe.snapshot import row
from clerestory.server.xray.observe.watch import Watch
from clerestory.server.xray.serve.shape import row_json
from clerestory.server.xray.serve.thread import Place, XRay
from clerestory.statemachines.engine import Machine
from clerestory.statemachines.listener import Trigger as ListenerTrigger
from tests.server.support import Bench, Pending, RecordingLogs
from tests.support.client import Answer, Client
from tests.support.waiting import eventually

ROOMY = Bounds(slots=100, descriptors=1000, open_descriptors=20)


class Named(Pending):
    """An operation that ends when the test says so, with words of its own."""

    def __init__(self, words: str = "work#1 RUNNING find 1.2 s") -> None:
        super().__init__()
        self.words = words

    def describe(self) -> str:
        return self.words


def waiting(words: str = "work#1 RUNNING find 1.2 s") -> Callable[[Request], Any]:
    """A handler that waits for an operation with those words, which never ends."""

    async def handler(request: Request) -> Response:
        await Named(words)
        return Response(b"done")

    return handler


def cut_of(bench: Bench) -> Cut:
    """A cut of a bench's loop."""
    return take(bench.loop)


def row_of(bench: Bench, **options: Any) -> dict[str, Any]:
    """The row of the bench's one connection."""
    cut = cut_of(bench)
    (seen,) = [seen for seen in cut.seen if seen[0].engine is bench.service.engine]
    return row_json(row(seen, cut.now, **options))


def watch_of(bench: Bench) -> Watch:
    """A watch on a bench's service, on its own loop."""
    return Watch(bench.service, bench.recorder, bench.loop, "the bench")


class Asked:
    """An x-ray that is asked, and what was logged."""

    xray: XRay
    xray_address: Any
    logs: RecordingLogs

    @property
    def token(self) -> str:
        """What its endpoints take, as a field of the request."""
        return f"X-Clerestory-Token: {self.xray.keys.token}"

    def x(self, target: str, *lines: str, method: str = "GET", body: bytes = b"", host: str = "localhost") -> Answer:
        """Ask the x-ray once, with the token, on a connection of its own."""
        return self.stranger(target, self.token, *lines, method=method, body=body, host=host)

    def stranger(
        self, target: str, *lines: str, method: str = "GET", body: bytes = b"", host: str = "localhost"
    ) -> Answer:
        """Ask the x-ray once, without the token."""
        with Client(self.xray_address) as client:
            length = [f"Content-Length: {len(body)}"] if body or method == "POST" else []
            head = "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", *lines, *length, "", ""])
            client.send(head.encode("latin-1") + body)
            return client.answer(method)

    def json(self, target: str, *lines: str) -> Any:
        """What the x-ray answers, which has to be JSON."""
        answer = self.x(target, *lines)
        assert (answer.status, answer["content-type"]) == (200, "application/json"), answer
        return json.loads(answer.body)

    def post(self, target: str, *lines: str) -> Answer:
        """Order a change."""
        return self.x(target, *lines, method="POST")

    def rows(self, query: str = "") -> list[dict[str, Any]]:
        """The rows of /connections.json."""
        found: list[dict[str, Any]] = self.json(f"/connections.json{query}")["rows"]
        return found

    def standing(self, state: str, count: int) -> list[dict[str, Any]]:
        """The rows of that state, once there are so many."""
        eventually(lambda: len(self.rows(f"?state={state}")) == count, what=f"{count} in {state}")
        return self.rows(f"?state={state}")

    def log(self, event: str) -> list[dict[str, Any]]:
        """What was logged by that name."""
        return [one for one in list(self.logs.events) if one["event"] == event]


class Live(Asked):
    """A service on a loop of its own thread, and its x-ray on another. `x` asks the x-ray."""

    def __init__(
        self,
        application: Callable[[Any], Any],
        xray: socket.socket | None = None,
        limits: dict[str, float] | None = None,
        *,
        h2c: bool = False,
    ) -> None:
        self.crashes: list[BaseException] = []
        self.logs = RecordingLogs()
        bounds = Limits(**cast("Any", limits or {}))
        self.loop = Loop(open_poller(), self._crashed, limits=asdict(bounds))
        recorder = Recorder()
        self.service = Service(application, self.loop, bounds, self.logs, codec_for("h11"), Connection, recorder)
        self.service.http2, self.service.h2c = HTTP2(self.service) if h2c else None, h2c
        listening = listen("127.0.0.1", 0)
        self.address = listening.getsockname()
        self.listener = Listener(self.service, listening)
        self.loop.add(self.listener)
        self.service.on_connection_closed = self._connection_closed
        xray = xray or listen("127.0.0.1", 0)
        self.xray_address = xray.getsockname()
        self.xray = XRay(self.service, recorder, Place(xray), self.logs, "a trial")
        self._thread = threading.Thread(target=self.loop.run, daemon=True)

    def _crashed(self, machine: Machine, error: BaseException) -> None:
        self.crashes.append(error)

    def _connection_closed(self) -> None:
        if self.listener.accepts(ListenerTrigger.CONNECTION_ENDED):
            self.loop.fire(self.listener, ListenerTrigger.CONNECTION_ENDED)

    def start(self) -> None:
        self._thread.start()
        self.xray.start()
        self.xray.announce()

    def stop(self) -> None:
        self.xray.close()
        self.stop_serving()
        self.loop.close()

    def stop_serving(self) -> None:
        """End the loop that is looked at."""
        self.loop.call_from_thread(self.loop.stop)
        self._thread.join(20)
        assert not self._thread.is_alive()


@contextlib.contextmanager
def live(
    application: Callable[[Any], Any], xray: socket.socket | None = None, *, h2c: bool = False, **limits: float
) -> Iterator[Live]:
    """A server with its x-ray. At the end nothing has crashed, on either of the loops."""
    server = Live(application, xray, limits, h2c=h2c)
    server.start()
    try:
        yield server
        assert server.crashes == []
        assert server.log("xray_crashed") == []
        assert server.log("xray_failed") == []
    finally:
        server.stop()


class Gate:
    """A handler that blocks its thread until it is opened: by sleeping, or by computing."""

    def __init__(self, *, computes: bool = False) -> None:
        self.computes = computes
        self.opened = threading.Event()
        self.entered = threading.Event()

    def __call__(self, request: Request) -> Response:
        if request.path != "/block":
            return Response(b"hello")
        self.entered.set()
        if self.computes:
            self.compute()
        else:
            self.sleep()
        return Response(b"late")

    def sleep(self) -> None:
        """As `time.sleep`, but that the test ends it."""
        self.opened.wait(20)

    def compute(self) -> None:
        """Keep the interpreter busy until the test ends it."""
        limit = time.monotonic() + 20
        while not self.opened.is_set() and time.monotonic() < limit:
            sum(range(1000))
