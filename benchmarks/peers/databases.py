"""Starlette, for the suite `databases`, with asyncpg, with psycopg, and with SQLite in its own thread pool.

Each does the same query as ours, on a pool of the same size, and the same encoding of the answer.
"""

import os
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette  # type: ignore[import-not-found, unused-ignore]
from starlette.responses import Response  # type: ignore[import-not-found, unused-ignore]
from starlette.routing import Route  # type: ignore[import-not-found, unused-ignore]

from benchmarks import work

WHERE = os.environ.get(work.DATABASE, "")


def answer(row: Any) -> Any:
    """The response that says what was found."""
    if row is None:
        return Response(status_code=404)
    return Response(work.as_json(row), media_type="application/json")


# --- asyncpg


@asynccontextmanager
async def asyncpg_pool(app: Any) -> AsyncIterator[None]:
    """Without asyncpg's reset after each query, which is one more way to the server and back."""
    import asyncpg  # type: ignore[import-not-found, import-untyped, unused-ignore]

    class Connection(asyncpg.Connection):  # type: ignore[misc, unused-ignore]
        __slots__ = ()

        def get_reset_query(self) -> str:
            return ""

    size = work.SESSIONS
    async with asyncpg.create_pool(WHERE, min_size=size, max_size=size, connection_class=Connection) as app.state.pool:
        yield


async def by_asyncpg(request: Any) -> Any:
    """asyncpg prepares the statement, and caches it."""
    return answer(await request.app.state.pool.fetchrow(work.SELECT + "$1", request.path_params["number"]))


# --- psycopg


@asynccontextmanager
async def psycopg_pool(app: Any) -> AsyncIterator[None]:
    """With autocommit: else each query would be followed by a COMMIT."""
    from psycopg_pool import AsyncConnectionPool  # type: ignore[import-not-found, unused-ignore]

    size, options = work.SESSIONS, {"autocommit": True}
    async with AsyncConnectionPool(WHERE, min_size=size, max_size=size, kwargs=options) as app.state.pool:
        yield


async def by_psycopg(request: Any) -> Any:
    """psycopg prepares what is used more than five times."""
    async with request.app.state.pool.connection() as connection:
        cursor = await connection.execute(work.SELECT + "%s", (request.path_params["number"],))
        return answer(await cursor.fetchone())


# --- SQLite

_thread = threading.local()


@asynccontextmanager
async def few_threads(app: Any) -> AsyncIterator[None]:  # noqa: ARG001 - as Starlette calls it
    """As many threads as suit it best: with its own forty it takes more CPU."""
    from anyio import to_thread  # type: ignore[import-not-found, unused-ignore]

    to_thread.current_default_thread_limiter().total_tokens = work.PEERS_THREADS
    yield


def in_thread(request: Any) -> Any:
    """A plain endpoint: Starlette runs it in a thread."""
    database: sqlite3.Connection | None = getattr(_thread, "database", None)
    if database is None:
        database = _thread.database = sqlite3.connect(WHERE)
    return answer(database.execute(work.SELECT + "?", (request.path_params["number"],)).fetchone())


def _app(endpoint: Any, lifespan: Any) -> Any:
    return Starlette(routes=[Route("/emails/{number:int}", endpoint)], lifespan=lifespan)


with_asyncpg = _app(by_asyncpg, asyncpg_pool)
with_psycopg = _app(by_psycopg, psycopg_pool)
with_threads = _app(in_thread, few_threads)
