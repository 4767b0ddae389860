"""What a client library's coroutine waits for, told by the library's own objects: a connection of its pool, and how
many of these are in use, or the answer of its server.

Nothing is imported: who uses a library has loaded it. A frame is known by its file and its function, and its `self` has
the figures. Where another version has them elsewhere, nothing is said.
"""

import os
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

Say = Callable[[Any, dict[str, Any]], str]
"""Makes words of a frame's `self` and of its other variables."""

INNERMOST = 10
"""Frames that are looked at: a pool's stand above a few of the library's own and of asyncio's."""


def awaited_from(frames: Sequence[FrameType]) -> str:
    """What the innermost frame waits for that a client library has called; empty where it is none that is known."""
    for frame in reversed(frames[-INNERMOST:]):
        code = frame.f_code
        say = _KNOWN.get((os.sep.join(code.co_filename.split(os.sep)[-3:]), code.co_name))
        if say is None:
            continue
        values = frame.f_locals
        try:
            said = say(values.get("self"), values)
        except (AttributeError, KeyError, TypeError, ValueError):
            said = ""
        if said:
            return said
    return ""


def _pool(name: str, used: int, size: int, waiting: int) -> str:
    return f"a connection of {name}, {used} of {size} in use, {waiting} waiting"


def _answer(name: str, host: object, port: object) -> str:
    return f"{name}, an answer of {host}:{port}"


def _asyncpg_pool(pool: Any, _: dict[str, Any]) -> str:
    used = pool.get_size() - pool.get_idle_size()
    return _pool("asyncpg's pool", used, pool.get_max_size(), len(pool._queue._getters))  # noqa: SLF001


def _asyncpg_query(connection: Any, _: dict[str, Any]) -> str:
    address = connection._addr  # noqa: SLF001
    return _answer("asyncpg", *address[:2]) if isinstance(address, tuple) else f"asyncpg, an answer of {address}"


def _psycopg_pool(pool: Any, _: dict[str, Any]) -> str:
    figures = pool.get_stats()
    used = figures["pool_size"] - figures["pool_available"]
    return _pool("psycopg's pool", used, figures["pool_max"], figures["requests_waiting"])


def _psycopg_query(connection: Any, _: dict[str, Any]) -> str:
    return _answer("psycopg", connection.info.host, connection.info.port)


def _httpx_pool(pool: Any, values: dict[str, Any]) -> str:
    request = values["pool_request"]
    if request.connection is not None:
        return ""
    waiting = sum(one.is_queued() for one in pool._requests)  # noqa: SLF001
    return _pool("httpx's pool", len(pool.connections), pool._max_connections, waiting)  # noqa: SLF001


def _httpx_stream(stream: Any, _: dict[str, Any]) -> str:
    host, port = stream.get_extra_info("server_addr")[:2]
    return _answer("httpx", host, port)


def _redis_pool(pool: Any, _: dict[str, Any]) -> str:
    used, size, waiting = len(pool._in_use_connections), pool.max_connections, len(pool._condition._waiters)  # noqa: SLF001
    return _pool("redis' pool", used, size, waiting) if waiting else ""


def _redis_answer(connection: Any, _: dict[str, Any]) -> str:
    return _answer("redis", connection.host, connection.port)


def _sqlalchemy(_: Any, values: dict[str, Any]) -> str:
    """SQLAlchemy's own functions are not coroutines: they run in a greenlet, which waits in the middle of them."""
    frame = values["context"].gr_frame
    while frame is not None:
        code = frame.f_code
        if code.co_name == "_do_get" and code.co_filename.endswith(os.path.join("sqlalchemy", "pool", "impl.py")):
            pool = frame.f_locals["self"]
            size = pool.size() + pool._max_overflow  # noqa: SLF001
            waiting = len(pool._pool._queue._getters)  # noqa: SLF001
            return _pool("SQLAlchemy's pool", pool.checkedout(), size, waiting)
        frame = frame.f_back
    return ""


def _path(*parts: str) -> str:
    """The end of a file's path, as much of it as is looked at."""
    return os.path.join(*parts)


_KNOWN: dict[tuple[str, str], Say] = {
    (_path("site-packages", "asyncpg", "pool.py"), "_acquire_impl"): _asyncpg_pool,
    (_path("site-packages", "asyncpg", "connection.py"), "_do_execute"): _asyncpg_query,
    (_path("site-packages", "psycopg_pool", "pool_async.py"), "_getconn_unchecked"): _psycopg_pool,
    (_path("site-packages", "psycopg", "connection_async.py"), "wait"): _psycopg_query,
    (_path("httpcore", "_async", "connection_pool.py"), "handle_async_request"): _httpx_pool,
    (_path("httpcore", "_backends", "anyio.py"), "read"): _httpx_stream,
    (_path("redis", "asyncio", "connection.py"), "get_connection"): _redis_pool,
    (_path("redis", "asyncio", "connection.py"), "read_response"): _redis_answer,
    (_path("sqlalchemy", "util", "concurrency.py"), "greenlet_spawn"): _sqlalchemy,
    (_path("sqlalchemy", "util", "_concurrency_py3k.py"), "greenlet_spawn"): _sqlalchemy,
}
"""By the last three parts of a file's path, and the function."""
