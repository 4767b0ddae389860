"""The interface between the mail site and its database, SQLite or PostgreSQL, and the errors of both.

The invariant, kept by every transaction and by each schema: an inbox's `count` is the number of its deliveries, and at
most its `capacity`. It is stored so that checking the space is one look-up however full the inbox is, and so that a
test that kills the server at any moment has something to check.
"""

from collections.abc import Awaitable, Iterable
from typing import Any, Protocol

from clerestory.handlers.api.errors import HTTPError

MAX_EMAILS = 100_000
"""Messages in total: a server to which anybody can post must not fill the disk or the memory."""

Email = dict[str, Any]
Page = tuple[list[Email], bool]

WHOLE = ("id", "subject", "sender", "body")
LISTED = ("id", "subject", "sender")
"""An email's members, in order; in a list without the body."""


class FieldError(HTTPError):
    """The request cannot be accepted, because of `field`."""

    def __init__(self, status: int, field: str | None, detail: str) -> None:
        super().__init__(status, detail)
        self.field = field


class MailStore(Protocol):
    """Stores messages and inboxes. Each method is one transaction: all of it or nothing.

    `place` names the store on the front page; empty if it is in memory.
    """

    @property
    def place(self) -> str: ...

    def find_email(self, number: int) -> Awaitable[Email]:
        """The message `number`, or FieldError 404."""

    def list_emails(self, limit: int, after: int) -> Awaitable[Page]:
        """At most `limit` messages with numbers above `after`, without their bodies; and whether there are more."""

    def add_email(self, sender: str, subject: str, body: str) -> Awaitable[Email]:
        """A new message, with its number; FieldError 507 if the limit is reached."""

    def deliver(self, recipient: str, email_id: int) -> Awaitable[dict[str, Any]]:
        """Put the message into the inbox: load both, check the space, insert.

        FieldError 404 if either does not exist, 409 if the message is already in the inbox, 507 if the inbox is full.
        """

    def read_inbox(self, recipient: str) -> Awaitable[dict[str, Any]]:
        """The messages in the inbox, at most its capacity, or FieldError 404."""


def listed(rows: Iterable[Iterable[Any]]) -> list[Email]:
    """The emails of a list."""
    return [dict(zip(LISTED, row, strict=True)) for row in rows]


# --- errors: the same words for each database


def no_email(number: int, field: str) -> FieldError:
    """404."""
    return FieldError(404, field, f"There is no email {number}.")


def no_inbox(recipient: str) -> FieldError:
    """404."""
    return FieldError(404, "recipient", f"There is no inbox for {recipient}.")


def is_there_already(recipient: str, email_id: int) -> FieldError:
    """409 (RFC 9110 section 15.5.10)."""
    return FieldError(409, "email_id", f"Email {email_id} is already in the inbox of {recipient}.")


def inbox_is_full(recipient: str, capacity: int) -> FieldError:
    """507 (RFC 4918 section 11.5)."""
    return FieldError(507, "recipient", f"The inbox of {recipient} is full: it has room for {capacity} emails.")


def too_many_emails() -> FieldError:
    """507."""
    return FieldError(507, None, f"There are {MAX_EMAILS:,} emails already.")
