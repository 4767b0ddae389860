"""What PostgreSQL's errors mean for whoever asked: SQLSTATE -> an answer, or the error itself.

What another may mend by waiting (a restart, a lock, a conflict, no room) is a 503 with Retry-After, and its cause is
psycopg's error. Everything else is a fault of the statement, and raised as psycopg's error of that SQLSTATE.
"""

from math import ceil

import psycopg
from psycopg import pq

from handlers.errors import HTTPError

# SQLSTATE, or its class (the first two characters): PostgreSQL's manual, appendix A.
_UNAVAILABLE = {
    "08": "The database can not be reached.",
    "25006": "The database is read-only.",
    "40": "The database has another change under way that conflicts with this one.",
    "53": "The database has no room, or too many sessions.",
    "55P03": "The database has this locked.",
    "57P": "The database is shutting down, or starting.",
    "58": "The database's disk fails.",
}

CANCELLED = "57014"

FORGOTTEN = ("0A000", "26000")
"""A prepared statement whose tables have changed, or that the server does not know any more."""


def unavailable(detail: str, seconds: float = 1.0, cause: BaseException | None = None) -> HTTPError:
    """503, to be tried again after so many seconds."""
    error = HTTPError(503, detail, ((b"retry-after", b"%d" % max(1, ceil(seconds))),))
    error.__cause__ = cause
    return error


def late(detail: str = "The database did not answer in time.", cause: BaseException | None = None) -> HTTPError:
    """504."""
    error = HTTPError(504, detail)
    error.__cause__ = cause
    return error


def database_error(result: pq.abc.PGresult) -> psycopg.Error:
    """The error that `result` is, as psycopg would raise it."""
    sqlstate = _field(result, pq.DiagnosticField.SQLSTATE)
    message = _field(result, pq.DiagnosticField.MESSAGE_PRIMARY) or "the server gives no reason"
    try:
        kind = psycopg.errors.lookup(sqlstate)
    except KeyError:
        kind = psycopg.DatabaseError
    return kind(message, info=result)


def error_of(result: pq.abc.PGresult) -> Exception:
    """What is raised at the await for a `result` that is an error."""
    error = database_error(result)
    sqlstate = error.sqlstate or ""
    if sqlstate == CANCELLED:  # not by us: those who cancel do not read the result
        return late(cause=error)
    for prefix in (sqlstate, sqlstate[:3], sqlstate[:2]):
        if prefix in _UNAVAILABLE:
            return unavailable(_UNAVAILABLE[prefix], cause=error)
    return error


def _field(result: pq.abc.PGresult, name: pq.DiagnosticField) -> str:
    return (result.error_field(name) or b"").decode("utf-8", "replace")
