"""What clients' libraries wait for: real libraries, a pool of one connection, a server that does not answer."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from clerestory.handlers.asgi.pools import awaited_from
from clerestory.handlers.asgi.stack import waits_at
from tests.support.postgres import Cluster, running
from tests.support.waiting import PATIENCE

HERE = r"at asgi/test_pools\.py:\d+ ask <- "

Ask = Callable[[], Awaitable[object]]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    yield from running(max_connections="20")


async def seen(ask: Ask, *wanted: str) -> list[str]:
    """Where as many callers of `ask` wait, once that is what is wanted, in any order."""

    async def call() -> None:
        await ask()

    tasks = [asyncio.ensure_future(call()) for _ in wanted]
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                found = sorted(waits_at(task).partition(" <- ")[2] for task in tasks)
                if all(re.fullmatch(pattern, one) for pattern, one in zip(sorted(wanted), found, strict=True)):
                    return found
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(found) from None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def silent() -> AsyncIterator[tuple[str, int]]:
    """A server that answers nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()


def test_asyncpg(cluster: Cluster) -> None:
    asyncpg = pytest.importorskip("asyncpg")

    async def story() -> None:
        async with asyncpg.create_pool(cluster.url(tcp=True), min_size=1, max_size=1) as pool:
            async with asyncio.timeout(PATIENCE):
                await pool.fetch("SELECT 1")
            await seen(
                lambda: pool.fetch("SELECT pg_sleep(60)"),
                rf"asyncpg, an answer of 127\.0\.0\.1:{cluster.port}",
                "a connection of asyncpg's pool, 1 of 1 in use, 1 waiting",
            )

    asyncio.run(story())


def test_psycopg(cluster: Cluster) -> None:
    psycopg_pool = pytest.importorskip("psycopg_pool")

    async def story() -> None:
        pool = psycopg_pool.AsyncConnectionPool(cluster.url(tcp=True), min_size=1, max_size=1, open=False)

        async def ask() -> None:
            async with pool.connection() as connection:
                await connection.execute("SELECT pg_sleep(60)")

        async with pool:
            await pool.wait()
            await seen(
                ask,
                rf"psycopg, an answer of 127\.0\.0\.1:{cluster.port}",
                "a connection of psycopg's pool, 1 of 1 in use, 1 waiting",
            )

    asyncio.run(story())


def test_sqlalchemy(cluster: Cluster) -> None:
    sqlalchemy = pytest.importorskip("sqlalchemy.ext.asyncio")
    pytest.importorskip("asyncpg")

    async def story() -> None:
        url = cluster.url(tcp=True).replace("postgresql://", "postgresql+asyncpg://")
        engine = sqlalchemy.create_async_engine(url, pool_size=1, max_overflow=0)

        async def ask() -> None:
            async with engine.connect() as connection:
                await connection.exec_driver_sql("SELECT pg_sleep(60)")

        await seen(ask, ".*", "a connection of SQLAlchemy's pool, 1 of 1 in use, 1 waiting")
        await engine.dispose()

    asyncio.run(story())


def test_httpx() -> None:
    httpx = pytest.importorskip("httpx")

    async def story() -> None:
        async with (
            silent() as (host, port),
            httpx.AsyncClient(limits=httpx.Limits(max_connections=1), timeout=PATIENCE) as client,
        ):
            await seen(
                lambda: client.get(f"http://{host}:{port}/"),
                rf"httpx, an answer of {re.escape(host)}:{port}",
                "a connection of httpx's pool, 1 of 1 in use, 1 waiting",
            )

    asyncio.run(story())


def test_redis() -> None:
    redis = pytest.importorskip("redis.asyncio")

    async def story() -> None:
        async with silent() as (host, port):
            pool = redis.BlockingConnectionPool(host=host, port=port, max_connections=1, timeout=PATIENCE)
            client = redis.Redis(connection_pool=pool)
            await seen(
                lambda: client.get("a"),
                rf"redis, an answer of {re.escape(host)}:{port}",
                "a connection of redis' pool, 1 of 1 in use, 1 waiting",
            )
            await client.aclose()
            await pool.disconnect()

    asyncio.run(story())


def test_a_library_that_looks_otherwise_is_left_out() -> None:
    """A frame of that name, in a file of that name, without what is looked for."""
    code = compile("def _acquire_impl(self):\n    yield\n", "/x/site-packages/asyncpg/pool.py", "exec")
    space: dict[str, Callable[[object], object]] = {}
    exec(code, space)
    generator = space["_acquire_impl"](object())
    next(generator)  # type: ignore[call-overload]
    assert awaited_from([generator.gi_frame]) == ""  # type: ignore[attr-defined]
