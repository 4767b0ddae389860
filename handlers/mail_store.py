"""Messages and inboxes in SQLite: the schema, and the transactions that `handlers.mail` runs.

The invariant, kept by every transaction and by the schema: an inbox's `count` is the number of its deliveries, and at
most its `capacity`. It is there twice so that "is there space?" is one look-up however full the inbox is, and so that
a test that kills the server in the middle has something to check.

Every function takes the connection first and runs within a transaction of its caller.
"""

import sqlite3
from typing import Any

from handlers.errors import HTTPError
from handlers.mail_samples import INBOXES, samples

VERSION = 1

MAX_EMAILS = 100_000
"""Messages in all: a server that anybody may post to does not fill the disk, or the memory."""

_SCHEMA = f"""
CREATE TABLE emails (
    id INTEGER PRIMARY KEY,
    sender TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE TABLE inboxes (
    recipient TEXT PRIMARY KEY,
    capacity INTEGER NOT NULL,
    count INTEGER NOT NULL DEFAULT 0 CHECK (count BETWEEN 0 AND capacity)
);
CREATE TABLE deliveries (
    recipient TEXT NOT NULL REFERENCES inboxes (recipient),
    email_id INTEGER NOT NULL REFERENCES emails (id),
    PRIMARY KEY (recipient, email_id)
) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
"""


class FieldError(HTTPError):
    """What was sent cannot be taken, because of `field`."""

    def __init__(self, status: int, field: str | None, detail: str) -> None:
        super().__init__(status, detail)
        self.field = field


def prepare(connection: sqlite3.Connection, with_samples: bool) -> None:
    """Make the tables and the inboxes where there are none. Raises ValueError for what is something else's."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
        # Statement by statement: executescript would commit first.
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        connection.executemany("INSERT INTO inboxes (recipient, capacity) VALUES (?, ?)", INBOXES)
        if with_samples:
            connection.executemany("INSERT INTO emails (id, sender, subject, body) VALUES (?, ?, ?, ?)", samples())
    elif version != VERSION:
        raise ValueError(f"the database is not one of ours: its version is {version}, this server's is {VERSION}")


def find_email(connection: sqlite3.Connection, number: int) -> dict[str, Any]:
    """The message `number`, or FieldError 404."""
    row = connection.execute("SELECT id, subject, sender, body FROM emails WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise FieldError(404, "id", f"There is no email {number}.")
    return dict(zip(("id", "subject", "sender", "body"), row, strict=True))


def list_emails(connection: sqlite3.Connection, limit: int, after: int) -> tuple[list[dict[str, Any]], bool]:
    """At most `limit` messages with numbers above `after`, without their bodies; and whether there are more."""
    statement = "SELECT id, subject, sender FROM emails WHERE id > ? ORDER BY id LIMIT ?"
    rows = connection.execute(statement, (after, limit + 1)).fetchall()
    emails = [dict(zip(("id", "subject", "sender"), row, strict=True)) for row in rows[:limit]]
    return emails, len(rows) > limit


def add_email(connection: sqlite3.Connection, sender: str, subject: str, body: str) -> dict[str, Any]:
    """A new message, with its number; FieldError 507 when there are as many as there may be."""
    # Nothing is ever deleted, so the largest number is the number of messages, and is found without counting.
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM emails").fetchone()
    if last >= MAX_EMAILS:
        raise FieldError(507, None, f"There are {MAX_EMAILS:,} emails already.")
    values = {"id": last + 1, "subject": subject, "sender": sender, "body": body}
    connection.execute("INSERT INTO emails (id, subject, sender, body) VALUES (:id, :subject, :sender, :body)", values)
    return values


def deliver(connection: sqlite3.Connection, recipient: str, email_id: int) -> dict[str, Any]:
    """Put the message into the inbox: load the one, load the other, verify space, add.

    FieldError 404 for either that is not there, 409 when the one is in the other already, 507 when there is no space.
    """
    if connection.execute("SELECT 1 FROM emails WHERE id = ?", (email_id,)).fetchone() is None:
        raise FieldError(404, "email_id", f"There is no email {email_id}.")
    capacity, count = _load_inbox(connection, recipient)
    delivery = (recipient, email_id)
    if connection.execute("SELECT 1 FROM deliveries WHERE recipient = ? AND email_id = ?", delivery).fetchone():
        # RFC 9110 section 15.5.10
        raise FieldError(409, "email_id", f"Email {email_id} is in the inbox of {recipient} already.")
    if count >= capacity:
        # RFC 4918 section 11.5
        raise FieldError(507, "recipient", f"The inbox of {recipient} is full: it has room for {capacity} emails.")
    connection.execute("INSERT INTO deliveries (recipient, email_id) VALUES (?, ?)", delivery)
    connection.execute("UPDATE inboxes SET count = count + 1 WHERE recipient = ?", (recipient,))
    return {"recipient": recipient, "email_id": email_id, "count": count + 1, "capacity": capacity}


def read_inbox(connection: sqlite3.Connection, recipient: str) -> dict[str, Any]:
    """What is in the inbox, or FieldError 404. As long as its capacity at most."""
    capacity, count = _load_inbox(connection, recipient)
    statement = (
        "SELECT id, subject, sender FROM deliveries JOIN emails ON id = email_id WHERE recipient = ? ORDER BY id"
    )
    rows = connection.execute(statement, (recipient,))
    emails = [dict(zip(("id", "subject", "sender"), row, strict=True)) for row in rows]
    return {"recipient": recipient, "count": count, "capacity": capacity, "emails": emails}


def _load_inbox(connection: sqlite3.Connection, recipient: str) -> tuple[int, int]:
    """Capacity and count, or FieldError 404."""
    statement = "SELECT capacity, count FROM inboxes WHERE recipient = ?"
    row: tuple[int, int] | None = connection.execute(statement, (recipient,)).fetchone()
    if row is None:
        raise FieldError(404, "recipient", f"There is no inbox of {recipient}.")
    return row
