"""What the mail site asks of a database: the face that SQLite and PostgreSQL both have, and their refusals.

The invariant, kept by every transaction and by each schema: an inbox's `count` is the number of its deliveries, and at
most its `capacity`. It is there twice so that "is there space?" is one look-up however full the inbox is, and so that
a test that kills the server in the middle has something to check.
"""

from collections.abc import Awaitable, Iterable
from typing import Any, Protocol

from handlers.errors import HTTPError

MAX_EMAILS = 100_000
"""Messages in all: a server that anybody may post to does not fill the disk, or the memory."""

Email = dict[str, Any]
Page = tuple[list[Email], bool]

WHOLE = ("id", "subject", "sender", "body")
LISTED = ("id", "subject", "sender")
"""An email's members, in order; in a list it is without its body."""


class FieldError(HTTPError):
    """What was sent cannot be taken, because of `field`."""

    def __init__(self, status: int, field: str | None, detail: str) -> None:
        super().__init__(status, detail)
        self.field = field


class MailStore(Protocol):
    """Where messages and inboxes are kept. Each method is one transaction: all of it or nothing.

    `place` is where that is, in a word for the front page; empty where nothing outlives the server.
    """

    @property
    def place(self) -> str: ...

    def find_email(self, number: int) -> Awaitable[Email]:
        """The message `number`, or FieldError 404."""

    def list_emails(self, limit: int, after: int) -> Awaitable[Page]:
        """At most `limit` messages with numbers above `after`, without their bodies; and whether there are more."""

    def add_email(self, sender: str, subject: str, body: str) -> Awaitable[Email]:
        """A new message, with its number; FieldError 507 when there are as many as there may be."""

    def deliver(self, recipient: str, email_id: int) -> Awaitable[dict[str, Any]]:
        """Put the message into the inbox: load the one, load the other, verify space, add.

        FieldError 404 for either that is not there, 409 when the one is in the other already, 507 without space.
        """

    def read_inbox(self, recipient: str) -> Awaitable[dict[str, Any]]:
        """What is in the inbox, or FieldError 404. As long as its capacity at most."""


def listed(rows: Iterable[Iterable[Any]]) -> list[Email]:
    """The emails of a list."""
    return [dict(zip(LISTED, row, strict=True)) for row in rows]


# --- refusals: the same words whatever the database


def no_email(number: int, field: str) -> FieldError:
    """404."""
    return FieldError(404, field, f"There is no email {number}.")


def no_inbox(recipient: str) -> FieldError:
    """404."""
    return FieldError(404, "recipient", f"There is no inbox of {recipient}.")


def is_there_already(recipient: str, email_id: int) -> FieldError:
    """409 (RFC 9110 section 15.5.10)."""
    return FieldError(409, "email_id", f"Email {email_id} is in the inbox of {recipient} already.")


def inbox_is_full(recipient: str, capacity: int) -> FieldError:
    """507 (RFC 4918 section 11.5)."""
    return FieldError(507, "recipient", f"The inbox of {recipient} is full: it has room for {capacity} emails.")


def too_many_emails() -> FieldError:
    """507."""
    return FieldError(507, None, f"There are {MAX_EMAILS:,} emails already.")
