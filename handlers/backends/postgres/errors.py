"""PostgreSQL's errors for the caller: SQLSTATE -> a response, or the error itself.

A condition that may pass (a restart, a lock, a conflict, no space) is a 503 with Retry-After, caused by psycopg's
error. Everything else is a fault of the statement, and raised as psycopg's error of that SQLSTATE.
"""

from math import ceil

import psycopg
from psycopg import pq

from clerestory.handlers.api.errors import BackendError

# SQLSTATE, or its class (the first two characters): PostgreSQL's manual, appendix A.
_UNAVAILABLE = {
    "08": "The database cannot be reached.",
    "25006": "The database is read-only.",
    "40": "The change conflicts with another one in the database.",
    "53": "The database has no space, or too many sessions.",
    "55P03": "The database has locked this row or table.",
    "57P": "The database is starting or shutting down.",
    "58": "The database has a disk error.",
}

WHERE = "PostgreSQL"
"""What the log calls it."""

CANCELLED = "57014"

FORGOTTEN = ("0A000", "26000")
"""A prepared statement whose tables have changed, or that the server no longer knows."""


def unavailable(cause: str, detail: str, seconds: float = 1.0, error: BaseException | None = None) -> BackendError:
    """503, with a Retry-After of `seconds`; `error` is PostgreSQL's."""
    made = BackendError(503, cause, detail, WHERE, ((b"retry-after", b"%d" % max(1, ceil(seconds))),))
    made.__cause__ = error
    return made


def late(error: BaseException | None = None) -> BackendError:
    """504; `error` is PostgreSQL's."""
    made = BackendError(504, "timeout", "The database did not answer in time.", WHERE)
    made.__cause__ = error
    return made


def database_error(result: pq.abc.PGresult) -> psycopg.Error:
    """The error in `result`, as psycopg would raise it."""
    sqlstate = _field(result, pq.DiagnosticField.SQLSTATE)
    message = _field(result, pq.DiagnosticField.MESSAGE_PRIMARY) or "the server gave no reason"
    try:
        kind = psycopg.errors.lookup(sqlstate)
    except KeyError:
        kind = psycopg.DatabaseError
    return kind(message, info=result)


def error_of(result: pq.abc.PGresult) -> Exception:
    """The exception to raise at the await for an error `result`."""
    error = database_error(result)
    sqlstate = error.sqlstate or ""
    if sqlstate == CANCELLED:  # not cancelled by us: after our own cancel requests the result is not read
        return late(error)
    for prefix in (sqlstate, sqlstate[:3], sqlstate[:2]):
        if prefix in _UNAVAILABLE:
            return unavailable(f"SQLSTATE {sqlstate}", _UNAVAILABLE[prefix], error=error)
    return error


def _field(result: pq.abc.PGresult, name: pq.DiagnosticField) -> str:
    return (result.error_field(name) or b"").decode("utf-8", "replace")
