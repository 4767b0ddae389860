"""The applications of the suite `hosting` in Starlette, FastAPI, and FastAPI on asyncpg; the same for every server."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI  # type: ignore[import-not-found, unused-ignore]
from starlette.applications import Starlette  # type: ignore[import-not-found, unused-ignore]
from starlette.responses import JSONResponse, Response  # type: ignore[import-not-found, unused-ignore]
from starlette.routing import Route  # type: ignore[import-not-found, unused-ignore]

from benchmarks import work


async def _item(request: Any) -> Any:
    return JSONResponse({"id": request.path_params["number"]})


starlette = Starlette(routes=[Route("/items/{number:int}", _item)])
fastapi = FastAPI()


@fastapi.get("/items/{number}")
async def item(number: int) -> dict[str, int]:
    """What is asked for."""
    return {"id": number}


@asynccontextmanager
async def _pool(app: Any) -> AsyncIterator[None]:
    import asyncpg  # type: ignore[import-not-found, import-untyped, unused-ignore]

    size = work.SESSIONS
    async with asyncpg.create_pool(os.environ[work.DATABASE], min_size=size, max_size=size) as app.state.pool:
        yield


fastapi_asyncpg = FastAPI(lifespan=_pool)


@fastapi_asyncpg.get("/emails/{number}")
async def email(number: int) -> Response:
    """One row, by its primary key."""
    row = await fastapi_asyncpg.state.pool.fetchrow(work.SELECT + "$1", number)
    return Response(work.as_json(row) if row else b"", 200 if row else 404, media_type="application/json")
