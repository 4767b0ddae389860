# ruff: noqa: ASYNC110, ASYNC230, ASYNC240 - tests poll, and write small files
"""An application of many small parts, one for each rule of tests/e2e/hosting/test_rules.py. `seen` is what they saw."""

import asyncio
import contextvars
import json
import tempfile
from pathlib import Path
from typing import Any

seen: dict[str, Any] = {}
mark: contextvars.ContextVar[str] = contextvars.ContextVar("mark", default="")
FILE = Path(tempfile.gettempdir(), "clerestory-rules.txt")


def note(name: str, value: Any = True) -> None:
    seen.setdefault(name, []).append(value)


async def start(send: Any, status: int = 200, headers: Any = ()) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def end(send: Any, body: Any = b"", **more: Any) -> None:
    await send({"type": "http.response.body", "body": body, **more})


async def raises(kind: type[BaseException], awaitable: Any) -> str:
    try:
        await awaitable
    except kind as error:
        return type(error).__name__
    return ""


async def _scope(scope: Any, receive: Any, send: Any) -> None:
    told = {key: value for key, value in scope.items() if key not in ("headers", "extensions", "state")}
    told |= {key: told[key].decode("latin-1") for key in ("raw_path", "query_string")}
    told["headers"] = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]]
    told["extensions"] = sorted(scope["extensions"])
    told["path"] = scope["path"].encode("utf-8", "surrogateescape").decode("latin-1")
    task = asyncio.current_task()
    assert task is not None
    told["task"] = task.get_name()
    await start(send)
    await end(send, json.dumps(told).encode())


async def _receives(scope: Any, receive: Any, send: Any) -> None:
    """The body's end, once; then nothing until the client has left; then that, as often as it is asked for."""
    events = [await receive()]
    while events[-1].get("more_body"):
        events.append(await receive())
    note("body", [len(event["body"]) for event in events])
    waiting = asyncio.ensure_future(receive())
    await asyncio.sleep(0.05)
    note("blocked", not waiting.done())
    note("then", [(await waiting)["type"], (await receive())["type"], (await receive())["type"]])


async def _after(scope: Any, receive: Any, send: Any) -> None:
    """What is told behind the answer's end."""
    await start(send)
    await end(send, b"ok")
    note("after", (await receive())["type"])
    note("after", (await receive())["type"])
    note("again", await raises(RuntimeError, end(send, b"more")))


async def _gone(scope: Any, receive: Any, send: Any) -> None:
    """send() on a connection that has gone."""
    await start(send)
    await end(send, b"x", more_body=True)
    try:
        while True:
            await end(send, b"x" * 1000, more_body=True)
            await asyncio.sleep(0.005)
    except OSError as error:
        note("gone", type(error).__name__)
        raise


async def _stubborn(scope: Any, receive: Any, send: Any) -> None:
    """Does not look whether the client has gone."""
    try:
        note("stubborn", "begun")
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        note("stubborn", "cancelled")
        raise


async def _slow_client(scope: Any, receive: Any, send: Any) -> None:
    await start(send)
    for number in range(400):
        await end(send, b"x" * 32768, more_body=True)
        seen["produced"] = number
    await end(send)


async def _late_500(scope: Any, receive: Any, send: Any) -> None:
    await start(send, 200, [(b"x-wrong", b"yes")])
    raise RuntimeError("behind the start, before the body")


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    return None


async def _started(scope: Any, receive: Any, send: Any) -> None:
    await start(send)
    await end(send, b"part", more_body=True)


async def _framing(scope: Any, receive: Any, send: Any) -> None:
    status = int(scope["query_string"] or b"200")
    headers = [(b"Transfer-Encoding", b"chunked"), (b"Connection", b"close"), (b"X-Kept", b"1")]
    await start(send, status, headers)
    await end(send, b"body", more_body=True)
    await asyncio.sleep(0)
    await end(send, b"")


async def _length(scope: Any, receive: Any, send: Any) -> None:
    given, streamed = scope["query_string"].split(b",")
    await start(send, 200, [(b"content-length", b"5")])
    if streamed == b"1":
        await end(send, given[:2], more_body=True)
        await end(send, given[2:], more_body=True)
        await end(send)
    else:
        await end(send, given)


async def _ill_formed(scope: Any, receive: Any, send: Any) -> None:
    wrong: list[Any] = [
        {"type": "http.response.nonsense"},
        {"type": "http.response.body", "body": b"before the start"},
        {"type": "http.response.start", "status": 99},
        {"type": "http.response.start", "status": "200"},
        {"type": "http.response.start", "status": 200, "headers": [(b"x", b"a\r\nset-cookie: b")]},
        {"type": "http.response.start", "status": 200, "headers": [(b"x", b"a\x00")]},
        {"type": "http.response.start", "status": 200, "headers": [(b"x y", b"a")]},
        {"type": "http.response.start", "status": 200, "headers": [("x", "a")]},
        {"type": "http.response.start", "status": 200, "headers": [(b"x",)]},
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"-1")]},
    ]
    told = []
    for event in wrong:
        try:
            await send(event)
            told.append("")
        except RuntimeError as error:
            told.append(type(error).__name__)
    await start(send, 200, [(b"x-line", b"a b"), [b"X-List", b" padded "]])
    try:
        await send({"type": "http.response.body", "body": "text"})
    except RuntimeError as error:
        told.append(type(error).__name__)
    await end(send, json.dumps(told).encode())


async def _exotic(scope: Any, receive: Any, send: Any) -> None:
    """Line ends of Unicode, which are no line ends of HTTP's."""
    await start(send, 200, [(b"x-line", "a\u2028b\u0085c".encode())])
    await end(send)


async def _context(scope: Any, receive: Any, send: Any) -> None:
    before = mark.get()
    mark.set("left by the request before")
    await start(send)
    await end(send, json.dumps(before).encode())


async def _tasks(scope: Any, receive: Any, send: Any) -> None:
    """What asyncio and anyio need of a request's task."""
    import anyio

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(0))
    with anyio.move_on_after(0.01) as cancelled:
        await anyio.sleep(5)
    threaded = await anyio.to_thread.run_sync(lambda: mark.get())
    await asyncio.create_task(send({"type": "http.response.start", "status": 200}))
    body = json.dumps([cancelled.cancelled_caught, threaded]).encode()
    await asyncio.gather(end(send, body), asyncio.sleep(0))


async def _path_send(scope: Any, receive: Any, send: Any) -> None:
    FILE.write_bytes(b"from a file\n" * 1000)
    await start(send)
    await send({"type": "http.response.pathsend", "path": str(FILE)})


async def _zero_copy(scope: Any, receive: Any, send: Any) -> None:
    FILE.write_bytes(b"0123456789")
    with FILE.open("rb") as file:
        await start(send)
        await send({"type": "http.response.zerocopysend", "file": file, "offset": 2, "count": 3, "more_body": True})
        await end(send, b"|", more_body=True)
        await send({"type": "http.response.zerocopysend", "file": file})


async def _late(scope: Any, receive: Any, send: Any) -> None:
    """Waits for a body for a while only, beside another that waits; then answers without it."""
    waiting = asyncio.ensure_future(receive())
    try:
        await asyncio.wait_for(receive(), 0.05)
    except TimeoutError:
        note("late", not waiting.done())
    if scope["query_string"]:  # the other one waits on, while the answer is given
        await start(send, 408)
        await end(send, b"late", more_body=True)
        note("body", (await waiting)["body"].decode())
    else:
        waiting.cancel()
        await start(send, 408)
    await end(send)


async def _trailers(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
    await end(send, b"one", more_body=True)
    await end(send, b"two")
    await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"6")], "more_trailers": True})
    await asyncio.sleep(0)
    await send({"type": "http.response.trailers", "headers": [(b"x-end", b"yes")]})


async def _hints(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]})
    await asyncio.sleep(0)
    await send({"type": "http.response.early_hint", "links": [b"</b.js>; rel=preload"]})
    await start(send)
    await end(send, b"ok")


async def _background(scope: Any, receive: Any, send: Any) -> None:
    await start(send)
    await end(send, b"ok")
    note("background", "begun")
    try:
        while "finish" not in seen:
            await asyncio.sleep(0.01)
        note("background", "done")
    except asyncio.CancelledError:
        note("background", "cancelled")
        raise


async def _failing_background(scope: Any, receive: Any, send: Any) -> None:
    await start(send)
    await end(send, b"ok")
    await asyncio.sleep(0)
    raise RuntimeError("behind the answer")


async def _stream(scope: Any, receive: Any, send: Any) -> None:
    """A stream that ends well when it is told to."""
    await start(send)
    await end(send, b"begun\n", more_body=True)
    while (await receive())["type"] != "http.disconnect":
        pass
    await end(send, b"told\n")


async def _deaf(scope: Any, receive: Any, send: Any) -> None:
    """A stream that does not ask."""
    await start(send)
    while True:
        await end(send, b"more\n", more_body=True)
        await asyncio.sleep(0.01)


async def _hang(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.sleep(60)


async def _seen(scope: Any, receive: Any, send: Any) -> None:
    if scope["query_string"]:
        seen[scope["query_string"].decode()] = True
    await start(send)
    await end(send, json.dumps(seen).encode())


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        raise RuntimeError("lifespans are not known here")
    name = scope["path"].removeprefix(scope["root_path"]).split("/")[1]
    await PARTS.get(name, _scope)(scope, receive, send)


PARTS = {name[1:]: value for name, value in globals().items() if name.startswith("_") and callable(value)}
