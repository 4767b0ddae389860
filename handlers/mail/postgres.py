"""Messages and inboxes in PostgreSQL: the migrations, and the transactions that the mail site runs.

Several servers may use one database. What only one may do at a time is done under a lock: migrations, and the counts of
messages and of each inbox, whose rows are locked before they are read.
"""

from typing import Any

import psycopg

from clerestory.handlers.backends.postgres.database import Database
from clerestory.handlers.backends.postgres.query import Rows
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

MIGRATIONS = (
    """
    CREATE TABLE emails (
        id bigint PRIMARY KEY,
        sender text NOT NULL,
        subject text NOT NULL,
        body text NOT NULL
    );
    CREATE TABLE inboxes (
        recipient text PRIMARY KEY,
        capacity integer NOT NULL,
        count integer NOT NULL DEFAULT 0 CHECK (count BETWEEN 0 AND capacity)
    );
    CREATE TABLE deliveries (
        recipient text NOT NULL REFERENCES inboxes (recipient),
        email_id bigint NOT NULL REFERENCES emails (id),
        PRIMARY KEY (recipient, email_id)
    );
    CREATE TABLE mail_totals (
        emails bigint NOT NULL
    );
    INSERT INTO mail_totals VALUES (0);
    """,
)
"""The statements that make each version of the schema from the one before. A released one is never changed."""

HARMLESS = frozenset({"insert", "update"})
"""Statements that leave nothing behind on a session, since the tables above have no triggers
(`Database(harmless=...)`)."""

_LOCK = 0x6D61696C
"""The lock number with which servers that start at the same moment take turns: `mail` in ASCII."""

_NEW_EMAIL = """
WITH total AS (UPDATE mail_totals SET emails = emails + 1 WHERE emails < $4 RETURNING emails)
INSERT INTO emails (id, sender, subject, body) SELECT emails, $1, $2, $3 FROM total RETURNING id
"""
"""Numbers without gaps: transactions that add messages at the same time wait for each other."""

_DELIVER = """
WITH delivery AS (INSERT INTO deliveries (recipient, email_id) VALUES ($1, $2))
UPDATE inboxes SET count = count + 1 WHERE recipient = $1
"""

_INBOX = """
SELECT capacity, count, id, subject, sender
FROM inboxes LEFT JOIN (deliveries JOIN emails ON id = email_id) USING (recipient)
WHERE recipient = $1 ORDER BY id
"""
"""The inbox, a row for each message in it, or one row if it is empty: one statement, so that count and list agree."""


class PostgresMail:
    """The mail in `database`, whose tables are created or migrated.

    Raises ValueError for another kind of database or a newer version, psycopg.Error for one that cannot be used.
    """

    place = "PostgreSQL"

    def __init__(self, database: Database, *, with_samples: bool = False) -> None:
        self._database = database
        database.prepare(lambda connection: prepare(connection, with_samples=with_samples))

    async def find_email(self, number: int) -> Email:
        """As MailStore."""
        rows = await self._database.fetch("SELECT id, subject, sender, body FROM emails WHERE id = $1", (number,))
        if not rows:
            raise no_email(number, "id")
        return dict(zip(WHOLE, rows[0], strict=True))

    async def list_emails(self, limit: int, after: int) -> Page:
        """As MailStore."""
        statement = "SELECT id, subject, sender FROM emails WHERE id > $1 ORDER BY id LIMIT $2"
        rows = await self._database.fetch(statement, (after, limit + 1))
        return listed(rows[:limit]), len(rows) > limit

    async def add_email(self, sender: str, subject: str, body: str) -> Email:
        """As MailStore."""
        rows = await self._database.fetch(_NEW_EMAIL, (sender, subject, body, mail_store.MAX_EMAILS))
        if not rows:
            raise too_many_emails()
        return {"id": rows[0][0], "subject": subject, "sender": sender, "body": body}

    async def deliver(self, recipient: str, email_id: int) -> dict[str, Any]:
        """As MailStore."""
        async with self._database.transaction() as transaction:
            if not await transaction.fetch("SELECT 1 FROM emails WHERE id = $1", (email_id,)):
                raise no_email(email_id, "email_id")
            # The lock comes first: from here on no other transaction changes this inbox.
            inbox = "SELECT capacity, count FROM inboxes WHERE recipient = $1 FOR UPDATE"
            capacity, count = _one(await transaction.fetch(inbox, (recipient,)), recipient)
            delivery = (recipient, email_id)
            if await transaction.fetch("SELECT 1 FROM deliveries WHERE recipient = $1 AND email_id = $2", delivery):
                raise is_there_already(recipient, email_id)
            if count >= capacity:
                raise inbox_is_full(recipient, capacity)
            await transaction.execute(_DELIVER, delivery)
        return {"recipient": recipient, "email_id": email_id, "count": count + 1, "capacity": capacity}

    async def read_inbox(self, recipient: str) -> dict[str, Any]:
        """As MailStore."""
        rows = await self._database.fetch(_INBOX, (recipient,))
        capacity, count = _one([row[:2] for row in rows], recipient)
        emails = listed(row[2:] for row in rows if row[2] is not None)
        return {"recipient": recipient, "count": count, "capacity": capacity, "emails": emails}


def _one(rows: Rows, recipient: str) -> tuple[int, int]:
    """Capacity and count, or FieldError 404."""
    if not rows:
        raise no_inbox(recipient)
    capacity, count = rows[0]
    return capacity, count


def prepare(connection: "psycopg.Connection[Any]", *, with_samples: bool) -> None:
    """Create the tables and the inboxes if there are none, and migrate older ones, in one transaction.

    Raises ValueError for another kind of database, or a newer version.
    """
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    version = _version(connection)
    if version > len(MIGRATIONS):
        raise ValueError(f"a newer server made this database: its version is {version}, ours is {len(MIGRATIONS)}")
    for number, migration in enumerate(MIGRATIONS[version:], version + 1):
        connection.execute(migration)
        connection.execute("INSERT INTO mail_migrations (version) VALUES (%s)", (number,))
    if version:
        return
    cursor = connection.cursor()
    cursor.executemany("INSERT INTO inboxes (recipient, capacity) VALUES (%s, %s)", INBOXES)
    if with_samples:
        made = samples()
        cursor.executemany("INSERT INTO emails (id, sender, subject, body) VALUES (%s, %s, %s, %s)", made)
        cursor.execute("UPDATE mail_totals SET emails = %s", (len(made),))


def _version(connection: "psycopg.Connection[Any]") -> int:
    """The version of the schema; 0 if there is none, after creating the table that stores it."""
    there = connection.execute(
        "SELECT to_regclass('mail_migrations') IS NOT NULL, coalesce(to_regclass('emails'), to_regclass('inboxes'),"
        " to_regclass('deliveries'), to_regclass('mail_totals'))"
    ).fetchone()
    assert there is not None
    ours, table = there
    if not ours:
        if table is not None:
            raise ValueError(f"the database is not a mail database: it already has a table {table}")
        connection.execute(
            "CREATE TABLE mail_migrations (version integer PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now())"
        )
        return 0
    found = connection.execute("SELECT coalesce(max(version), 0) FROM mail_migrations").fetchone()
    assert found is not None
    return int(found[0])
