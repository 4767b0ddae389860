"""The application that the end-to-end tests serve: a resource for each thing that a handler may do, good and bad.

What it notices (which handlers ran, which operations were cancelled) can be asked of it at `/marks`.
"""

import hashlib
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Field, File, Request, Response, json_response, text_response
from clerestory.handlers.api.operations import Executor, Operation
from clerestory.handlers.backends.threads.threads import in_thread
from clerestory.handlers.echo import echo
from clerestory.handlers.router import Router

router = Router()
application = router

MARKS: list[str] = []
"""What has happened, in order."""

SECRET = "the secret in the traceback"


@router.get("/marks")
def marks(request: Request) -> Response:
    return json_response(MARKS)


@router.route("/mark/{label}", ("GET", "POST"))
def mark(request: Request, label: str) -> Response:
    """Note that this handler ran; the request's body is left alone."""
    MARKS.append(label)
    return text_response(f"marked {label}\n")


# --- plain answers


@router.get("/hello")
def hello(request: Request) -> Response:
    return text_response("hello\n")


@router.get("/json")
def constant(request: Request) -> Response:
    return json_response({"hello": "world"})


@router.get("/authority")
def authority(request: Request) -> Response:
    return json_response({"authority": request.authority.decode(), "path": request.path, "target": request.target})


@router.route("/status/{status:int}", ("GET", "POST", "DELETE"))
def with_status(request: Request, status: int) -> Response:
    """Any status, with a body that 204 and 304 must not send."""
    return Response(b"the body\n", status)


@router.get("/bytes/{count:int}")
def some_bytes(request: Request, count: int) -> Response:
    return Response(pattern(count))


def pattern(count: int) -> bytes:
    """`count` bytes in which no stretch of a hundred occurs twice soon."""
    return (BLOCK * (count // len(BLOCK) + 1))[:count]


BLOCK = b"".join(b"%07d\n" % number for number in range(0, 131072, 8))


# --- the request's body


router.route("/echo", ("POST", "PUT"), max_body=1 << 40)(echo)


@router.route("/read", ("GET", "POST"))
async def read(request: Request) -> Response:
    """The whole body, as its length and digest. `handler-ran` is marked only with a whole body."""
    body = await request.read()
    MARKS.append("read")
    return json_response({"length": len(body), "sha256": hashlib.sha256(body).hexdigest()})


@router.post("/sink", max_body=1 << 40)
async def sink(request: Request) -> Response:
    """As `/read`, for any size: nothing is kept."""
    digest, length = hashlib.sha256(), 0
    async for piece in request:
        digest.update(piece)
        length += len(piece)
    MARKS.append("sink")
    return json_response({"length": length, "sha256": digest.hexdigest()})


@router.post("/limited", max_body=10)
async def limited(request: Request) -> Response:
    MARKS.append("limited")
    return text_response(f"{len(await request.read())}\n")


@router.post("/unread")
def unread(request: Request) -> Response:
    """Answer without having read the body."""
    return text_response("not read\n")


@router.post("/first-piece")
async def first_piece(request: Request) -> Response:
    """Answer after one piece of the body."""
    async for piece in request:
        return text_response(f"{len(piece)}\n")
    return text_response("none\n")


# --- streamed answers


@router.get("/stream/{kind}/{count:int}/{size:int}")
def stream(request: Request, kind: str, count: int, size: int) -> Response:
    """`count` pieces of `size` bytes: by an iterator or an async iterator, chunked or with a Content-Length."""
    piece = pattern(size)
    fields: tuple[Field, ...] = ()
    if kind.endswith("-sized"):
        fields = ((b"content-length", b"%d" % (count * size)),)
    if kind.startswith("async"):
        return Response(async_pieces(piece, count), fields=fields)
    return Response(pieces(piece, count), fields=fields)


def pieces(piece: bytes, count: int) -> Iterator[bytes]:
    try:
        for _ in range(count):
            yield piece
    finally:
        MARKS.append("stream ended")


async def async_pieces(piece: bytes, count: int) -> AsyncIterator[bytes]:
    try:
        for number in range(count):
            if number % 2:
                await in_thread(int)
            yield piece
    finally:
        MARKS.append("stream ended")


@router.get("/stream-nothing/{kind}")
def stream_nothing(request: Request, kind: str) -> Response:
    """One piece, and empty ones for ever: by an iterator or an async iterator."""
    return Response(nothings() if kind == "sync" else async_nothings())


def nothings() -> Iterator[bytes]:
    try:
        yield b"one"
        while True:
            yield b""
    finally:
        MARKS.append("nothing ended")


async def async_nothings() -> AsyncIterator[bytes]:
    for piece in nothings():
        yield piece


@router.get("/stream-slowly/{count:int}/{milliseconds:int}")
def stream_slowly(request: Request, count: int, milliseconds: int) -> Response:
    """A piece now and then."""

    async def produce() -> AsyncIterator[bytes]:
        for _ in range(count):
            await in_thread(time.sleep, milliseconds / 1000)
            yield b"piece\n"

    return Response(produce())


PRODUCED = 0
"""Bytes that `/counted` has yielded."""


@router.get("/counted/{size:int}")
def counted(request: Request, size: int) -> Response:
    """Without an end, counting."""

    def produce() -> Iterator[bytes]:
        global PRODUCED
        while True:
            PRODUCED += size
            yield b"x" * size

    return Response(produce())


@router.get("/produced")
def produced(request: Request) -> Response:
    return text_response(str(PRODUCED))


@router.get("/firehose")
def firehose(request: Request) -> Response:
    """Without an end, as fast as the client takes it."""
    return Response(pieces(pattern(65536), 1 << 40))


# --- waiting


class Gate(Operation):
    """An operation that ends when another request opens the gate of its name; or never, as the case may be."""

    waiting: dict[str, list["Gate"]] = {}

    def __init__(self, name: str) -> None:
        self.name = name
        self._executor: Executor | None = None

    def start(self, executor: Executor) -> None:
        self._executor = executor
        self.waiting.setdefault(self.name, []).append(self)
        MARKS.append(f"waiting {self.name}")

    def cancel(self) -> None:
        self.waiting[self.name].remove(self)
        self._executor = None
        MARKS.append(f"cancelled {self.name}")

    def open(self) -> None:
        """Let the handler that waits go on, after the one that opens has been answered."""
        executor = self._executor
        assert executor is not None
        executor.loop.call_from_thread(lambda: executor.finished(self))

    def describe(self) -> str:
        return f"gate {self.name}"


@router.route("/wait/{name}", ("GET", "POST"))
async def wait(request: Request, name: str) -> Response:
    """Answer when the gate of that name is opened."""
    try:
        await Gate(name)
    finally:
        MARKS.append(f"left {name}")
    return text_response(f"waited for {name}\n")


@router.get("/stream-and-wait/{name}")
def stream_and_wait(request: Request, name: str) -> Response:
    """A piece, then nothing until the gate of that name is opened, then another piece."""

    async def produce() -> AsyncIterator[bytes]:
        try:
            yield b"before\n"
            await Gate(name)
            yield b"after\n"
        finally:
            MARKS.append(f"left {name}")

    return Response(produce())


@router.post("/open/{name}")
def open_gate(request: Request, name: str) -> Response:
    gates = Gate.waiting.pop(name, [])
    for gate in gates:
        gate.open()
    return text_response(f"{len(gates)}\n")


@router.get("/sleep/{milliseconds:int}")
async def sleep(request: Request, milliseconds: int) -> Response:
    """Answer after a while spent in a thread."""
    await in_thread(time.sleep, milliseconds / 1000)
    return text_response("slept\n")


@router.get("/fork")
def fork(request: Request) -> Response:
    """Fork a process that holds every descriptor until it is killed."""
    child = os.fork()
    if not child:
        log = os.fstat(2)  # whoever reads it waits for its end
        for name in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                if os.path.samestat(os.fstat(int(name)), log):
                    os.close(int(name))
        while True:
            signal.pause()
    return text_response(f"{child}")


@router.get("/block/{milliseconds:int}")
def block(request: Request, milliseconds: int) -> Response:
    """Do what no handler should: block the loop."""
    time.sleep(milliseconds / 1000)
    return text_response("blocked\n")


@router.get("/say-and-block/{milliseconds:int}")
def say_and_block(request: Request, milliseconds: int) -> Response:
    """Block the loop, as soon as a line in the log says so."""
    os.write(2, b'{"event": "blocking"}\n')
    return block(request, milliseconds)


class Reluctant:
    """Pieces of a response whose finalizer blocks the loop, with the interpreter free for other threads."""

    def __iter__(self) -> Iterator[bytes]:
        return iter((b"done\n",))

    def __del__(self) -> None:
        time.sleep(0.5)


@router.get("/block-at-the-end")
def block_at_the_end(request: Request) -> Response:
    """Block the loop while the exchange is taken apart."""
    return Response(Reluctant())


# --- handlers that fail


def fall() -> int:
    """Recurse until Python stops it."""
    return fall() + 1


ERRORS: dict[str, BaseException] = {
    "value": ValueError(SECRET),
    "http": HTTPError(418, "short and stout", ((b"x-pot", b"tea"),)),
    "http-illegal": HTTPError(418, "short and stout", ((b"x-pot", b"tea\r\nx-injected: yes"),)),
    "exit": SystemExit(3),
    "interrupt": KeyboardInterrupt(),
    "generator-exit": GeneratorExit(),
    "base": BaseException(SECRET),
    "memory": MemoryError(SECRET),
    "stop-iteration": StopIteration(SECRET),
}


def fail(kind: str) -> None:
    if kind == "recursion":
        fall()
    raise ERRORS[kind]


@router.route("/raise/{kind}", ("GET", "POST"))
def raise_plain(request: Request, kind: str) -> Response:
    fail(kind)
    return Response()


@router.get("/raise-async/{kind}")
async def raise_async(request: Request, kind: str) -> Response:
    await in_thread(int)
    fail(kind)
    return Response()


@router.get("/raise-in-thread/{kind}")
async def raise_in_thread(request: Request, kind: str) -> Response:
    await in_thread(fail, kind)
    return Response()


@router.get("/raise-first/{kind}")
def raise_first(request: Request, kind: str) -> Response:
    """Fail before the first piece of a streamed body."""
    return Response(failing_pieces(kind, 0))


@router.get("/raise-during/{kind}")
def raise_during(request: Request, kind: str) -> Response:
    """Fail after two pieces of a chunked body."""
    return Response(failing_pieces(kind, 2))


@router.get("/raise-during-async/{kind}")
def raise_during_async(request: Request, kind: str) -> Response:
    async def produce() -> AsyncIterator[bytes]:
        yield b"piece\n"
        await in_thread(int)
        fail(kind)

    return Response(produce())


@router.get("/raise-during-sized/{kind}")
def raise_during_sized(request: Request, kind: str) -> Response:
    """Fail after two pieces of a body whose length was promised."""
    return Response(failing_pieces(kind, 2), fields=((b"content-length", b"1000000"),))


LARGE = 100_000
"""Bytes of a piece that is sent as soon as it is there: smaller ones may be held back for the next."""


def failing_pieces(kind: str, good: int) -> Iterator[bytes]:
    for _ in range(good):
        yield pattern(LARGE)
    fail(kind)


WRONG: dict[str, object] = {
    "none": None,
    "pair": ({}, 404),
    "number": 7,
}


@router.get("/wrong-piece/{kind}")
def wrong_piece(request: Request, kind: str) -> Response:
    """A body of pieces one of which is no bytes."""
    good = pattern(LARGE)
    bodies: dict[str, list[object]] = {
        "text-first": ["text", good],
        "text-later": [good, "text", good],
        "none-first": [None, good],
        "none-later": [good, None, good],
        "number-later": [good, 7, good],
    }
    return Response(iter(bodies[kind]))  # type: ignore[arg-type]


@router.get("/wrong-type/{kind}")
def wrong_type(request: Request, kind: str) -> Response:
    return WRONG[kind]  # type: ignore[return-value]


@router.get("/wrong-await")
async def wrong_await(request: Request) -> Response:
    class Foreign:
        def __await__(self) -> Iterator[object]:
            yield object()

    await Foreign()  # type: ignore[misc]
    return Response()


@router.get("/wrong-length/{kind}")
def wrong_length(request: Request, kind: str) -> Response:
    """A body that is not as long as its Content-Length says."""
    ten = ((b"content-length", b"10"),)
    large, twice = pattern(LARGE), ((b"content-length", b"%d" % (2 * LARGE)),)
    bodies = {
        "bytes-short": Response(b"12345", fields=ten),
        "bytes-long": Response(b"1234567890X", fields=ten),
        "stream-short": Response(iter([large]), fields=twice),
        "stream-long": Response(iter([large, large + b"X"]), fields=twice),
        "stream-long-at-once": Response(iter([b"1234567890X"]), fields=ten),
    }
    return bodies[kind]


ILLEGAL: dict[str, Response] = {
    "value-crlf": Response(b"leak", fields=((b"x-name", b"a\r\nset-cookie: stolen=1"),)),
    "value-lf": Response(b"leak", fields=((b"x-name", b"a\nb"),)),
    "value-nul": Response(b"leak", fields=((b"x-name", b"a\0b"),)),
    "name-space": Response(b"leak", fields=((b"x name", b"a"),)),
    "name-colon": Response(b"leak", fields=((b"x-name:", b"a"),)),
    "name-crlf": Response(b"leak", fields=((b"x\r\ny", b"a"),)),
    "name-empty": Response(b"leak", fields=((b"", b"a"),)),
    "name-text": Response(b"leak", fields=(("x-name", b"a"),)),  # type: ignore[arg-type]
    "value-text": Response(b"leak", fields=((b"x-name", "a"),)),  # type: ignore[arg-type]
    "reason-crlf": Response(b"leak", reason="Fine\r\nset-cookie: stolen=1"),
    "reason-text": Response(b"leak", reason="Schön"),
    "status-low": Response(b"leak", 199),
    "status-high": Response(b"leak", 600),
    "transfer-encoding": Response(b"leak", fields=((b"transfer-encoding", b"chunked"),)),
    "two-lengths": Response(b"leak", fields=((b"content-length", b"4"), (b"content-length", b"4"))),
    "streamed": Response(iter([b"leak"]), fields=((b"x-name", b"a\r\nb"),)),
}


@router.get("/illegal/{kind}")
def illegal(request: Request, kind: str) -> Response:
    return ILLEGAL[kind]


# --- files


@router.get("/file/{name}")
def file(request: Request, name: str) -> Response:
    """A file of the directory that the environment names, as it is now."""
    descriptor = os.open(os.path.join(os.environ["E2E_FILES"], name), os.O_RDONLY)
    return Response(File(descriptor, 0, os.fstat(descriptor).st_size))


# --- whatever comes


async def admit(request: Request) -> Response:
    """An application without routes: it reads whatever was admitted, and says so in a field, which HEAD has too."""
    body = await request.read()
    MARKS.append(request.target)
    told = {"length": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    return Response(fields=((b"x-told", json.dumps(told).encode()),))
