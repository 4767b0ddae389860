"""Ours, for the suite `databases`: one e-mail by its primary key, from PostgreSQL or from SQLite through threads."""

import os
import sqlite3
from typing import Any

from benchmarks import work
from benchmarks.apps import JSON
from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Request, Response
from clerestory.handlers.backends import sqlite as sqlite_backend
from clerestory.handlers.backends.postgres import database as postgres_backend
from clerestory.handlers.router import Router

WHERE = os.environ.get(work.DATABASE, "")

postgres, sqlite = Router(), Router()

if WHERE.startswith("postgresql://"):
    sessions = postgres_backend.Database(WHERE)

    @postgres.get("/emails/{number:int}")
    async def from_postgres(_request: Request, number: int) -> Response:
        """A query of its own, on one of the pool's sessions."""
        rows = await sessions.fetch(work.SELECT + "$1", (number,))
        if not rows:
            raise HTTPError(404)
        return Response(work.as_json(rows[0]), 200, JSON)
elif WHERE:
    database = sqlite_backend.Database(f"sqlite:///{WHERE}", work.THREADS)

    def find(connection: sqlite3.Connection, number: int) -> Any:
        """The row, or None."""
        return connection.execute(work.SELECT + "?", (number,)).fetchone()

    @sqlite.get("/emails/{number:int}")
    async def from_sqlite(_request: Request, number: int) -> Response:
        """A statement of its own, in one of the reading threads."""
        row = await database.read_once(find, number)
        if row is None:
            raise HTTPError(404)
        return Response(work.as_json(row), 200, JSON)
