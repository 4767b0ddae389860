"""Messages and inboxes in SQLite: the schema, and the transactions that the mail site runs.

Every function takes the connection first and runs within its caller's transaction, in a thread of the database.
"""

import os
import sqlite3
from collections.abc import Awaitable
from typing import Any

from clerestory.handlers.backends.sqlite import Database
from clerestory.handlers.mail import store as mail_store
from clerestory.handlers.mail.samples import INBOXES, samples
from clerestory.handlers.mail.store import (
    WHOLE,
    Email,
    Page,
    inbox_is_full,
    is_there_already,
    listed,
    no_email,
    no_inbox,
    too_many_emails,
)

VERSION = 1

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


class SQLiteMail:
    """The mail in `database`, whose tables are created if there are none; in memory, with samples.

    Raises ValueError for another kind of database, sqlite3.Error for one that cannot be used.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.place = "" if database.in_memory else os.path.basename(database.path)
        database.prepare(prepare, with_samples=database.in_memory)

    def find_email(self, number: int) -> Awaitable[Email]:
        """As MailStore."""
        return self._database.read_once(find_email, number)

    def list_emails(self, limit: int, after: int) -> Awaitable[Page]:
        """As MailStore."""
        return self._database.read_once(list_emails, limit, after)

    def add_email(self, sender: str, subject: str, body: str) -> Awaitable[Email]:
        """As MailStore."""
        return self._database.write(add_email, sender, subject, body)

    def deliver(self, recipient: str, email_id: int) -> Awaitable[dict[str, Any]]:
        """As MailStore."""
        return self._database.write(deliver, recipient, email_id)

    def read_inbox(self, recipient: str) -> Awaitable[dict[str, Any]]:
        """As MailStore."""
        return self._database.read(read_inbox, recipient)


def prepare(connection: sqlite3.Connection, with_samples: bool) -> None:
    """Create the tables and the inboxes if there are none. Raises ValueError for another kind of database."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
        # Statement by statement: executescript would commit first.
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        connection.executemany("INSERT INTO inboxes (recipient, capacity) VALUES (?, ?)", INBOXES)
        if with_samples:
            connection.executemany("INSERT INTO emails (id, sender, subject, body) VALUES (?, ?, ?, ?)", samples())
    elif version != VERSION:
        raise ValueError(
            f"the database is not a mail database of this version: its version is {version}, this server's is {VERSION}"
        )


def find_email(connection: sqlite3.Connection, number: int) -> dict[str, Any]:
    """The message `number`, or FieldError 404."""
    row = connection.execute("SELECT id, subject, sender, body FROM emails WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise no_email(number, "id")
    return dict(zip(WHOLE, row, strict=True))


def list_emails(connection: sqlite3.Connection, limit: int, after: int) -> tuple[list[dict[str, Any]], bool]:
    """At most `limit` messages with numbers above `after`, without their bodies; and whether there are more."""
    statement = "SELECT id, subject, sender FROM emails WHERE id > ? ORDER BY id LIMIT ?"
    rows = connection.execute(statement, (after, limit + 1)).fetchall()
    return listed(rows[:limit]), len(rows) > limit


def add_email(connection: sqlite3.Connection, sender: str, subject: str, body: str) -> dict[str, Any]:
    """A new message, with its number; FieldError 507 if the limit is reached."""
    # Nothing is ever deleted, so the largest number is the number of messages, and is found without counting.
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM emails").fetchone()
    if last >= mail_store.MAX_EMAILS:
        raise too_many_emails()
    values = {"id": last + 1, "subject": subject, "sender": sender, "body": body}
    connection.execute("INSERT INTO emails (id, subject, sender, body) VALUES (:id, :subject, :sender, :body)", values)
    return values


def deliver(connection: sqlite3.Connection, recipient: str, email_id: int) -> dict[str, Any]:
    """Put the message into the inbox: load both, check the space, insert.

    FieldError 404 if either does not exist, 409 if the message is already in the inbox, 507 if the inbox is full.
    """
    if connection.execute("SELECT 1 FROM emails WHERE id = ?", (email_id,)).fetchone() is None:
        raise no_email(email_id, "email_id")
    capacity, count = _load_inbox(connection, recipient)
    delivery = (recipient, email_id)
    if connection.execute("SELECT 1 FROM deliveries WHERE recipient = ? AND email_id = ?", delivery).fetchone():
        raise is_there_already(recipient, email_id)
    if count >= capacity:
        raise inbox_is_full(recipient, capacity)
    connection.execute("INSERT INTO deliveries (recipient, email_id) VALUES (?, ?)", delivery)
    connection.execute("UPDATE inboxes SET count = count + 1 WHERE recipient = ?", (recipient,))
    return {"recipient": recipient, "email_id": email_id, "count": count + 1, "capacity": capacity}


def read_inbox(connection: sqlite3.Connection, recipient: str) -> dict[str, Any]:
    """The messages in the inbox, at most its capacity, or FieldError 404."""
    capacity, count = _load_inbox(connection, recipient)
    statement = (
        "SELECT id, subject, sender FROM deliveries JOIN emails ON id = email_id WHERE recipient = ? ORDER BY id"
    )
    emails = listed(connection.execute(statement, (recipient,)))
    return {"recipient": recipient, "count": count, "capacity": capacity, "emails": emails}


def _load_inbox(connection: sqlite3.Connection, recipient: str) -> tuple[int, int]:
    """Capacity and count, or FieldError 404."""
    statement = "SELECT capacity, count FROM inboxes WHERE recipient = ?"
    row: tuple[int, int] | None = connection.execute(statement, (recipient,)).fetchone()
    if row is None:
        raise no_inbox(recipient)
    return row
