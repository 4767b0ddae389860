"""The work that every application under test does, and the data it does it on.

All of them, ours and the peers', call these functions, so that what differs is the server alone. The answer is encoded
anew for each request by the same JSON encoder; an e-mail is read from SQLite inline, by its primary key, on a
connection for each thread (the page is in memory: the query takes some ten microseconds, a thread hop would cost more).
"""

import json
import os
import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

DATA: Final = "BENCHMARK_DATA"
"""The environment variable that tells a server's process where the data is; the benchmarks set it."""
BY_HAND: Final = Path(__file__).parent / ".data"
"""Where the data is, made when it is first asked for, when an application is served by hand."""

EMAILS: Final = 1000
SMALL_FILE: Final = "16KiB.bin"
LARGE_FILE: Final = "100MiB.bin"
FILES: Final = {SMALL_FILE: 16 * 1024, LARGE_FILE: 100 * 1024 * 1024}
PIECE: Final = 64 * 1024
"""Bytes that an application reads from a file at a time, where its server can not send files itself."""

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


def email(number: int) -> bytes | None:
    """`/emails/{id}`: one row by its primary key, as JSON; None when there is none."""
    query = "SELECT id, sender, recipient, subject, body FROM emails WHERE id = ?"
    row = _database().execute(query, (number,)).fetchone()
    if row is None:
        return None
    return encode(dict(zip(("id", "sender", "recipient", "subject", "body"), row, strict=True))).encode()


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
    rows = (
        (number, f"sender{number}@example.org", "reader@example.org", f"Subject {number}", "Some words. " * 16)
        for number in range(1, EMAILS + 1)
    )
    database.executemany("INSERT INTO emails VALUES (?, ?, ?, ?, ?)", rows)
    database.commit()
    database.close()
