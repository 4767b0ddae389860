"""The work that every application under test does, and the data it does it on.

All of them, ours and the peers', call these functions, so that what differs is the server alone. The answer is encoded
anew for each request by the same JSON encoder; an e-mail is read from SQLite inline, by its primary key, on a
connection for each thread (the page is in memory: the query takes some ten microseconds, a thread hop would cost more).
"""

import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

DATA: Final = "BENCHMARK_DATA"
"""The environment variable that tells a server's process where the data is; the benchmarks set it."""
BY_HAND: Final = Path(__file__).parent / ".data"
"""Where the data is, made when it is first asked for, when an application is served by hand."""

DATABASE: Final = "BENCHMARK_DATABASE"
"""The environment variable that tells where the database of the suite `databases` is: a URL, or SQLite's path."""

SESSIONS: Final = 10
"""Sessions with PostgreSQL that each application's pool holds."""
THREADS: Final = 2
"""Threads by which ours reads from SQLite: its default."""
PEERS_THREADS: Final = 8
"""Threads of Starlette's pool: of 1, 2, 8 and its own 40 those with which it took the least CPU a request."""
EMAILS: Final = 1000
SMALL_FILE: Final = "16KiB.bin"
LARGE_FILE: Final = "100MiB.bin"
FILES: Final = {SMALL_FILE: 16 * 1024, LARGE_FILE: 100 * 1024 * 1024}
PIECE: Final = 64 * 1024
"""Bytes that an application reads from a file at a time, where its server cannot send files itself."""

PIECES: Final = 64
STREAMED: Final = b"x" * 1024
"""`/stream`: so many pieces, each of them this one."""

encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def constant() -> bytes:
    """`/constant`: a small object, encoded for each request."""
    return encode({"id": 42, "subject": "hello"}).encode()


_thread = threading.local()


def _database() -> sqlite3.Connection:
    """This thread's connection, made when first used."""
    database: sqlite3.Connection | None = getattr(_thread, "database", None)
    if database is None:
        database = _thread.database = sqlite3.connect(f"file:{data() / 'emails.sqlite'}?mode=ro", uri=True)
    return database


COLUMNS = ("id", "sender", "recipient", "subject", "body")
SELECT = f"SELECT {', '.join(COLUMNS)} FROM emails WHERE id = "
"""The query; what follows is the parameter, as the database writes it."""


def email(number: int) -> bytes | None:
    """`/emails/{id}`: one row by its primary key, as JSON; None when there is none."""
    row = _database().execute(SELECT + "?", (number,)).fetchone()
    return as_json(row) if row is not None else None


def as_json(row: Iterable[Any]) -> bytes:
    """A row as JSON, encoded for each request."""
    return encode(dict(zip(COLUMNS, row, strict=True))).encode()


def rows() -> list[tuple[int, str, str, str, str]]:
    """What the databases hold."""
    return [
        (number, f"sender{number}@example.org", "reader@example.org", f"Subject {number}", "Some words. " * 16)
        for number in range(1, EMAILS + 1)
    ]


def data() -> Path:
    """Where the data is."""
    where = os.environ.get(DATA)
    if where:
        return Path(where)
    if not BY_HAND.exists():
        prepare(BY_HAND)
    return BY_HAND


def file(name: str) -> Path | None:
    """`/files/{name}`: one of the two files; None for any other name."""
    return data() / "files" / name if name in FILES else None


def prepare(directory: Path, files: Mapping[str, int] = FILES) -> None:
    """Make the database and the files, by name and size, in `directory`."""
    (directory / "files").mkdir(parents=True, exist_ok=True)
    for name, size in files.items():
        with (directory / "files" / name).open("wb") as target:
            block = os.urandom(min(size, 1024 * 1024))
            for _ in range(size // len(block)):
                target.write(block)
    database = sqlite3.connect(directory / "emails.sqlite")
    database.execute(
        "CREATE TABLE emails (id INTEGER PRIMARY KEY, sender TEXT, recipient TEXT, subject TEXT, body TEXT)"
    )
    database.executemany("INSERT INTO emails VALUES (?, ?, ?, ?, ?)", rows())
    database.commit()
    database.close()
