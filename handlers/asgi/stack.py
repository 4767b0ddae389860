"""Where a task waits: the line of the application, and what is awaited there.

A coroutine that waits knows what it awaits: `cr_await` of a coroutine, `gi_yieldfrom` of a generator, `ag_await` of an
asynchronous generator. Followed from the task's own coroutine they lead through the framework to the innermost one. The
application's lines are those outside of site-packages and the standard library; of them the innermost is named. What is
awaited is told by who waits: the object that the library's innermost frame waits for.

It is read while the task rests, or from another thread while it goes on: whatever is no longer there is left out. It is
bounded, and costs nothing until it is asked for. Where nothing is known, only what is seen is said: never a guess.
"""

import asyncio
import gc
import os
import site
import sys
import sysconfig
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

from clerestory.handlers.asgi.pools import awaited_from
from clerestory.handlers.asgi.threads import executor_of, limiter_of

DEEPEST = 256
"""Steps followed at most."""
_BETWEEN = ("async_generator_asend", "async_generator_athrow", "anext_awaitable", "coroutine_wrapper")
"""Types of what stands between two frames."""

WIDEST = 3
"""Tasks followed one into the other, at most: a gather within a gather."""

_PREFIXES = tuple(
    {
        os.path.realpath(path) + os.sep
        for path in (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), *site.getsitepackages())
        if path
    }
    | {
        path + os.sep
        for path in (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    }
)
_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def is_library(file: str) -> bool:
    """Whether a file is the standard library's, installed, ours, or none at all."""
    return (
        file.startswith((*_PREFIXES, _HERE, "<"))
        or file.endswith(".pyx")  # Cython's code knows its file by a path within its package
        or f"{os.sep}site-packages{os.sep}" in file
    )


def frames_of(coroutine: Any) -> Iterator[tuple[FrameType | None, Any]]:
    """The frames of what waits, from the outermost on, each with what it awaits; the last is what is awaited itself."""
    at = coroutine
    for _ in range(DEEPEST):
        if at is None:
            return
        frame = _first(at, "cr_frame", "gi_frame", "ag_frame")
        awaited = _first(at, "cr_await", "gi_yieldfrom", "ag_await")
        yield frame, at
        if awaited is None:
            awaited = _through(at)
        at = awaited


def _first(at: Any, *names: str) -> Any:
    for name in names:
        found = getattr(at, name, None)
        if found is not None:
            return found
    return None


def _through(at: Any) -> Any:
    """What stands between two frames and does not say what it awaits: the step of an asynchronous generator, whose
    generator only the collector of cycles knows."""
    if type(at).__name__ not in _BETWEEN:
        return None
    for one in gc.get_referents(at):
        if any(hasattr(one, name) for name in ("ag_frame", "cr_frame", "gi_frame")):
            return one
    return None


def stack_of(task: "asyncio.Task[Any]") -> list[tuple[str, int, str]]:
    """File, line and function of each frame in which `task` waits, the outermost first."""
    try:
        return [_place(frame) for frame, _ in frames_of(task.get_coro()) if frame is not None]
    except (AttributeError, RuntimeError, ValueError, TypeError):  # it goes on while it is read
        return []


def waits_at(task: "asyncio.Task[Any]", depth: int = WIDEST) -> str:
    """`at shop/db.py:41 fetch_order <- sleep, 0.4 s left`; empty where nothing is known."""
    try:
        return _waits_at(task, depth)
    except (AttributeError, RuntimeError, ValueError, TypeError):  # it goes on while it is read
        return ""


def _waits_at(task: "asyncio.Task[Any]", depth: int) -> str:
    frames: list[FrameType] = []
    last: Any = None
    for frame, at in frames_of(task.get_coro()):
        last = at
        if frame is not None:
            frames.append(frame)
    ours = next((frame for frame in reversed(frames) if not is_library(frame.f_code.co_filename)), None)
    library = frames[-1] if frames and frames[-1] is not ours else None
    awaited = _awaited(task, frames, last, depth)
    parts = []
    if ours is not None:
        parts.append(f"at {_words(ours)}")
    elif library is not None and not awaited:
        parts.append(f"at {_words(library)}")
    return " <- ".join([*parts, *([awaited] if awaited else [])])


def _place(frame: FrameType) -> tuple[str, int, str]:
    return frame.f_code.co_filename, frame.f_lineno or 0, frame.f_code.co_name


def _words(frame: FrameType) -> str:
    file, line, function = _place(frame)
    return f"{short(file)}:{line} {function}"


def short(file: str) -> str:
    """A file by its last two parts, which are what an operator knows it by."""
    return os.sep.join(file.split(os.sep)[-2:])


# --- what is awaited


def _awaited(task: "asyncio.Task[Any]", frames: list[FrameType], last: Any, depth: int) -> str:
    """What the innermost frame waits for, by the library that it belongs to."""
    said = awaited_from(frames) or limiter_of(frames)
    if said:
        return said
    for frame in reversed(frames[-8:]):
        said = _by_frame(frame, depth)
        if said:
            return said
    future = getattr(task, "_fut_waiter", None)
    if future is None and asyncio.isfuture(last):
        future = last
    return _by_future(future, depth) if future is not None else ""


def _by_frame(frame: FrameType, depth: int) -> str:
    code, values = frame.f_code, frame.f_locals
    me = values.get("self")
    match _module(code), code.co_name:
        case "asyncio.tasks", "sleep":
            handle = values.get("h")
            return f"sleep{_until(handle)}" if handle is not None else "sleep"
        case "asyncio.locks", "acquire":
            return f"{type(me).__name__}, {_waiting(me)}"
        case "asyncio.locks", "wait":
            return f"{type(me).__name__}, {_waiting(me)}"
        case "asyncio.queues", "get" | "put" | "join":
            what = {"get": "an item of", "put": "room in", "join": "the end of"}[code.co_name]
            return f"{what} {type(me).__name__}, {me.qsize() if me is not None else '?'} in it"
        case "asyncio.taskgroups", "__aexit__":
            return _tasks("TaskGroup", getattr(me, "_tasks", ()), depth)
        case "asyncio.tasks", "wait_for":
            return _followed("wait_for", values.get("fut"), depth)
        case "asyncio.streams", name:
            return _stream(me, name)
        case "anyio._backends._asyncio", "__aexit__":
            return _tasks("task group", getattr(me, "_tasks", ()), depth)
        case "anyio._backends._asyncio", "run_sync_in_worker_thread":
            return _worker(values)
        case "anyio._core._synchronization" | "anyio._backends._asyncio", "acquire" | "wait" | "acquire_on_behalf_of":
            return _limiter(me)
    return ""


def _module(code: CodeType) -> str:
    """The dotted name of a library's module, from its file: `asyncio.tasks`, `anyio._backends._asyncio`."""
    parts = code.co_filename.removesuffix(".py").split(os.sep)
    for package in ("asyncio", "anyio"):
        if package in parts:
            return ".".join(parts[len(parts) - 1 - parts[::-1].index(package) :])
    return ""


def _until(handle: Any) -> str:
    """When a timer fires: of asyncio's own handles, which say so by their loop's clock."""
    when, loop = getattr(handle, "when", None), getattr(handle, "_loop", None)
    if when is None or loop is None:
        return ""
    return f", {max(0.0, when() - loop.time()):.1f} s left"


def _waiting(me: Any) -> str:
    waiters = getattr(me, "_waiters", None)
    return f"{len(waiters) if waiters else 0} waiting"


def _limiter(me: Any) -> str:
    total, borrowed = getattr(me, "total_tokens", None), getattr(me, "borrowed_tokens", None)
    if total is not None and borrowed is not None:
        return f"{type(me).__name__}, {borrowed} of {total} in use"
    return type(me).__name__ if me is not None else ""


def _tasks(what: str, tasks: Any, depth: int) -> str:
    """A group of tasks: how many of them there are, and where the first waits."""
    waiting = [task for task in list(tasks) if not task.done()]
    if not waiting:
        return what
    return _followed(f"{what} of {len(waiting)}", waiting[0], depth)


def _followed(what: str, future: Any, depth: int) -> str:
    said = _by_future(future, depth) if future is not None else ""
    return f"{what} <- {said}" if said else what


def _by_future(future: Any, depth: int) -> str:
    if isinstance(future, asyncio.Task):
        where = waits_at(future, depth - 1) if depth > 1 else ""
        return f"task {future.get_name()}{' ' + where if where else ''}"
    children = getattr(future, "_children", None)
    if children:
        return _tasks("gather", children, depth)
    if said := executor_of(future, thread_at):
        return said
    inner = _shielded(future)
    if inner is not None and depth > 0:
        return _followed("shield", inner, depth - 1)
    return type(future).__name__.lstrip("_")


def _shielded(future: Any) -> Any:
    """What `asyncio.shield` keeps from being cancelled: its callback on the outer future knows the inner one."""
    for entry in getattr(future, "_callbacks", None) or ():
        if getattr(entry[0], "__qualname__", "") == "shield.<locals>._outer_done_callback":
            return next(
                (cell.cell_contents for cell in entry[0].__closure__ if asyncio.isfuture(cell.cell_contents)), None
            )
    return None


def _stream(me: Any, name: str) -> str:
    """A stream: who is on its other end."""
    transport = getattr(me, "_transport", None)
    if transport is None:
        return ""
    peer = transport.get_extra_info("peername")
    what = "room to write to" if name in ("drain", "_drain_helper") else "bytes from"
    return f"{what} {peer[0]}:{peer[1]}" if isinstance(peer, tuple) and len(peer) > 1 else f"{what} a stream"


def _worker(values: dict[str, Any]) -> str:
    """A function in a thread of anyio's: the line of the application in that thread, where it runs already."""
    worker, function = values.get("worker"), values.get("func")
    ident = getattr(worker, "ident", None)
    if ident is None:
        return f"a thread for {_name(function)}"
    where = thread_at(ident)
    return f"thread {where}" if where else f"thread of {_name(function)}"


def _name(function: Any) -> str:
    function = getattr(function, "func", function)
    return str(getattr(function, "__qualname__", type(function).__name__))


def thread_at(ident: int) -> str:
    """`at shop/db.py:41 fetch_order`: the innermost line of the application in a thread."""
    frame = sys._current_frames().get(ident)  # noqa: SLF001 - documented, in spite of its name
    for _ in range(DEEPEST):
        if frame is None:
            return ""
        if not is_library(frame.f_code.co_filename):
            return f"at {_words(frame)}"
        frame = frame.f_back
    return ""
