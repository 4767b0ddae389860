"""A plain WSGI application that breaks and keeps the rules of PEP 3333, for tests/e2e/hosting/test_wsgi_rules.py."""

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

Environ = dict[str, Any]
Start = Callable[..., Any]

seen: dict[str, list[Any]] = {}
released = threading.Event()


def note(name: str, value: Any) -> None:
    seen.setdefault(name, []).append(value)


class Pieces:
    """An iterable that notes its close()."""

    def __init__(self, name: str, pieces: Any, wrong: str = "", errors: Any = None) -> None:
        self.name, self.pieces, self.wrong, self.errors = name, iter(pieces), wrong, errors

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self.pieces)  # type: ignore[no-any-return]

    def close(self) -> None:
        note("closed", self.name)
        if self.errors is not None:
            self.errors.write(f"closed {self.name}\n")
        if self.wrong:
            raise RuntimeError(self.wrong)


def show(environ: Environ, start: Start) -> Any:
    found: dict[str, Any] = {key: value for key, value in environ.items() if isinstance(value, str | bool | tuple)}
    found["types"] = sorted({type(key).__name__ for key in environ})
    body = json.dumps(found).encode()
    start("200 OK", [("Content-Type", "application/json")])
    return [body]


def what_was_seen(environ: Environ, start: Start) -> Any:
    start("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(seen).encode()]


def close_whole(environ: Environ, start: Start) -> Any:
    start("200 OK", [])
    return Pieces("whole", [b"one"])


def close_stream(environ: Environ, start: Start) -> Any:
    start("200 OK", [])
    return Pieces("stream", [b"one", b"", b"two"])


def close_error(environ: Environ, start: Start) -> Any:
    def pieces() -> Iterator[bytes]:
        yield from ()
        raise RuntimeError("before the first piece")

    start("200 OK", [])
    return Pieces("error", pieces())


def close_broken(environ: Environ, start: Start) -> Any:
    def pieces() -> Iterator[bytes]:
        yield b"x" * 100_000
        yield b"x" * 100_000
        raise RuntimeError("behind the first piece")

    start("200 OK", [])
    return Pieces("broken", pieces())


def close_raises(environ: Environ, start: Start) -> Any:
    start("200 OK", [("Content-Length", "3")])
    return Pieces("raises", [b"one"], "in its close()")


def close_gone(environ: Environ, start: Start) -> Any:
    def pieces() -> Iterator[bytes]:
        while True:
            yield b"x" * 1000
            time.sleep(0.001)

    start("200 OK", [])
    return Pieces("gone", pieces(), errors=environ["wsgi.errors"])


def close_head(environ: Environ, start: Start) -> Any:
    start("200 OK", [("Content-Length", "6")])
    return Pieces("head", [b"one", b"two"])


def late_start(environ: Environ, start: Start) -> Iterator[bytes]:
    start("201 Created", [("X-Late", "yes")])
    yield b""
    yield b"late"


def empty_first(environ: Environ, start: Start) -> Iterator[bytes]:
    start("200 OK", [])
    yield b""
    start("500 Changed", [("X-Second", "yes")], _exc_info())
    yield b"changed"


def _exc_info() -> Any:
    try:
        raise ValueError("a reason to start again")
    except ValueError:
        return sys.exc_info()


def start_twice(environ: Environ, start: Start) -> Any:
    start("200 OK", [])
    try:
        start("200 OK", [])
    except Exception as error:  # noqa: BLE001 - what it is called is noted
        note("twice", type(error).__name__)
    return [b"once"]


def start_after(environ: Environ, start: Start) -> Iterator[bytes]:
    start("200 OK", [])
    yield b"x" * 100_000
    yield b"x" * 100_000
    try:
        start("500 Too Late", [], _exc_info())
    except ValueError as error:
        note("after", str(error))
        raise


def no_start(environ: Environ, start: Start) -> Any:
    return [b"nothing was started"]


def nothing(environ: Environ, start: Start) -> Any:
    return None


def write(environ: Environ, start: Start) -> Any:
    say = start("200 OK", [])
    say(b"by write, ")
    say(b"twice, ")
    return [b"and by the iterable"]


def write_slowly(environ: Environ, start: Start) -> Any:
    say = start("200 OK", [])
    for number in range(400):
        say(b"x" * 32768)
        seen["written"] = [number]
    return []


def produce(environ: Environ, start: Start) -> Iterator[bytes]:
    start("200 OK", [])
    for number in range(400):
        yield b"x" * 32768
        seen["produced"] = [number]


def status(environ: Environ, start: Start) -> Any:
    number = environ["QUERY_STRING"]
    start(f"{number} As Told", [("X-Of", "the application")])
    return [b"" if number in ("204", "304") else b"body"]


def no_content(environ: Environ, start: Start) -> Any:
    start("204 No Content", [("Content-Length", "0"), ("Transfer-Encoding", "chunked"), ("Connection", "upgrade")])
    return [b"not to be sent"]


HEADS: dict[str, tuple[Any, Any]] = {
    "number": (200, []),
    "short": ("20 OK", []),
    "interim": ("100 Continue", []),
    "break": ("200 OK\r\nX: y", []),
    "tuple": ("200 OK", (("A", "b"),)),
    "list": ("200 OK", [["A", "b"]]),
    "bytes": ("200 OK", [(b"A", b"b")]),
    "name": ("200 OK", [("A b", "c")]),
    "split": ("200 OK", [("A", "b\r\nX: y")]),
    "nul": ("200 OK", [("A", "b\0")]),
    "text": ("200 OK", [("A", "\u20ac")]),
    "lengths": ("200 OK", [("Content-Length", "1"), ("Content-Length", "1")]),
    "length": ("200 OK", [("Content-Length", "-1")]),
}


def head(environ: Environ, start: Start) -> Any:
    start(*HEADS[environ["QUERY_STRING"]])
    return [b"x"]


def latin(environ: Environ, start: Start) -> Any:
    start("200 OK", [("X-Latin", "caf\xe9")])
    return [b"latin"]


def path(environ: Environ, start: Start) -> Any:
    start("200 OK", [])
    return [environ["PATH_INFO"].encode("latin-1") + environ.get("HTTP_X_LATIN", "").encode("latin-1")]


def text(environ: Environ, start: Start) -> Any:
    start("200 OK", [])
    return ["text"]


def too_long(environ: Environ, start: Start) -> Iterator[bytes]:
    start("200 OK", [("Content-Length", "5")])
    yield b"123"
    yield b"4567"
    yield b"89"


def too_long_whole(environ: Environ, start: Start) -> Any:
    start("200 OK", [("Content-Length", "5")])
    return [b"123456789"]


def too_short(environ: Environ, start: Start) -> Any:
    start("200 OK", [("Content-Length", "5")])
    return [b"123"] if environ["QUERY_STRING"] == "whole" else iter([b"12", b"3"])


def error(environ: Environ, start: Start) -> Any:
    environ["wsgi.errors"].write("said before\nand without an end")
    raise RuntimeError("the application's own fault")


def leave(environ: Environ, start: Start) -> Any:
    sys.exit("ended")


def read(environ: Environ, start: Start) -> Any:
    stream, how = environ["wsgi.input"], environ["QUERY_STRING"]
    found: Any
    try:
        if how == "all":
            found = [stream.read().decode()]
        elif how == "some":
            found = [
                stream.read(3).decode(),
                stream.read(0).decode(),
                stream.read(100).decode(),
                stream.read().decode(),
            ]
        elif how == "line":
            found = [stream.readline().decode(), stream.readline(2).decode(), stream.readline(100).decode()]
        elif how == "lines":
            found = [line.decode() for line in stream.readlines()]
        elif how == "hint":
            found = [line.decode() for line in stream.readlines(3)]
        elif how == "iterate":
            found = [line.decode() for line in stream]
        else:
            found = 0
            while piece := stream.read(65536):
                found += len(piece)
    except OSError as error:
        note("cut", type(error).__name__)
        raise
    start("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([found, environ["wsgi.input_terminated"], environ.get("CONTENT_LENGTH")]).encode()]


def both(environ: Environ, start: Start) -> Iterator[bytes]:
    start("200 OK", [])
    while line := environ["wsgi.input"].readline():
        yield line.upper()


def ignore(environ: Environ, start: Start) -> Any:
    start("200 OK", [])
    return [b"unread"]


class OnlyReads:
    """A file without a descriptor, and without a close()."""

    def __init__(self, data: bytes) -> None:
        self.read = BytesIO(data).read


class NotesClose:
    """A file that notes its close()."""

    def __init__(self, file: Any, name: str) -> None:
        self.file, self.name = file, name
        self.read = file.read

    def close(self) -> None:
        note("closed", self.name)
        self.file.close()


def file(environ: Environ, start: Start) -> Any:
    how = environ["QUERY_STRING"]
    wrapper = environ["wsgi.file_wrapper"]
    handle = tempfile.NamedTemporaryFile()  # noqa: SIM115 - the wrapper closes it
    handle.write(b"0123456789" * 50_000)
    handle.seek(0)
    fields: list[tuple[str, str]] = []
    if how == "offset":
        handle.seek(499_990)
    if how == "length":
        fields = [("Content-Length", "7")]
    if how == "raw":
        start("200 OK", [])
        return wrapper(os.fdopen(os.dup(handle.fileno()), "rb", buffering=0), 100)
    if how == "reads":
        start("200 OK", [])
        return wrapper(OnlyReads(b"abc" * 1000), 100)
    if how == "notes":
        start("200 OK", [])
        return wrapper(NotesClose(handle, "file"))
    start("200 OK", fields)
    return wrapper(handle)


def gzip_file(environ: Environ, start: Start) -> Any:
    import gzip

    handle = tempfile.NamedTemporaryFile()  # noqa: SIM115 - as above
    handle.write(gzip.compress(b"unpacked" * 1000))
    handle.flush()
    start("200 OK", [])
    return environ["wsgi.file_wrapper"](gzip.open(handle.name))


def wait_for_release() -> None:
    released.wait(60)


def block(environ: Environ, start: Start) -> Any:
    wait_for_release()
    start("200 OK", [])
    return [b"released"]


def release(environ: Environ, start: Start) -> Any:
    released.set()
    start("200 OK", [])
    return [b"ok"]


def stream_then_block(environ: Environ, start: Start) -> Iterator[bytes]:
    start("200 OK", [])
    yield b"first"
    wait_for_release()
    yield b"last"


def slow_close(environ: Environ, start: Start) -> Any:
    class Slow:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"at once"])

        def close(self) -> None:
            wait_for_release()
            note("closed", "slow")

    start("200 OK", [])
    return Slow()


def app(environ: Environ, start_response: Start) -> Any:
    name = environ["PATH_INFO"].strip("/").partition("/")[0]
    called = what_was_seen if name == "seen" else globals().get(name, show)
    return called(environ, start_response)


def make_validated() -> Any:
    """`app` behind wsgiref's validator, both ways."""
    from wsgiref.validate import validator

    return validator(app)
