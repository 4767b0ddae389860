"""What an SQLSTATE means for whoever asked."""

from typing import Any, cast

import psycopg
import pytest
from psycopg import pq

from clerestory.handlers.api.errors import BackendError, HTTPError
from clerestory.handlers.backends.postgres.errors import database_error, error_of, late, unavailable


class Result:
    """An error as libpq hands it out."""

    def __init__(self, sqlstate: bytes | None, message: bytes | None = b"so it is") -> None:
        self.fields = {pq.DiagnosticField.SQLSTATE: sqlstate, pq.DiagnosticField.MESSAGE_PRIMARY: message}

    def error_field(self, name: pq.DiagnosticField) -> bytes | None:
        return self.fields.get(name)


def result(sqlstate: bytes | None, message: bytes | None = b"so it is") -> Any:
    return cast("Any", Result(sqlstate, message))


@pytest.mark.parametrize(
    ("sqlstate", "detail"),
    [
        (b"08006", "The database cannot be reached."),
        (b"25006", "The database is read-only."),
        (b"40001", "The change conflicts with another one in the database."),
        (b"40P01", "The change conflicts with another one in the database."),
        (b"53100", "The database has no space, or too many sessions."),
        (b"53300", "The database has no space, or too many sessions."),
        (b"55P03", "The database has locked this row or table."),
        (b"57P01", "The database is starting or shutting down."),
        (b"57P03", "The database is starting or shutting down."),
        (b"58030", "The database has a disk error."),
    ],
)
def test_what_waiting_may_mend_is_503(sqlstate: bytes, detail: str) -> None:
    error = error_of(result(sqlstate))
    assert isinstance(error, BackendError)
    assert error.cause == f"SQLSTATE {sqlstate.decode()}"
    assert (error.status, error.detail, error.fields) == (503, detail, ((b"retry-after", b"1"),))
    assert isinstance(error.__cause__, psycopg.Error)
    assert error.__cause__.sqlstate == sqlstate.decode()


def test_what_was_cancelled_by_another_or_by_the_servers_own_clock_is_504() -> None:
    error = error_of(result(b"57014"))
    assert isinstance(error, HTTPError)
    assert (error.status, type(error.__cause__)) == (504, psycopg.errors.QueryCanceled)


@pytest.mark.parametrize(
    ("sqlstate", "kind"),
    [
        (b"42601", psycopg.errors.SyntaxError),
        (b"23505", psycopg.errors.UniqueViolation),
        (b"25P02", psycopg.errors.InFailedSqlTransaction),
        (b"0A000", psycopg.errors.FeatureNotSupported),
        (b"ZZ999", psycopg.DatabaseError),
        (None, psycopg.DatabaseError),
    ],
)
def test_what_is_wrong_with_the_statement_is_psycopgs_own_error(
    sqlstate: bytes | None, kind: type[psycopg.Error]
) -> None:
    error = error_of(result(sqlstate))
    assert type(error) is kind
    assert str(error) == "so it is"


def test_a_message_that_is_no_utf8_is_shown_as_far_as_it_is() -> None:
    assert str(database_error(result(b"42601", b"\xff!"))) == "\ufffd!"
    assert str(database_error(result(b"42601", None))) == "the server gave no reason"


@pytest.mark.parametrize(("seconds", "told"), [(0.0, b"1"), (1.0, b"1"), (1.1, b"2"), (-3.0, b"1")])
def test_retry_after_is_in_whole_seconds_and_never_none(seconds: float, told: bytes) -> None:
    cause = OSError()
    error = unavailable("busy", "no", seconds, cause)
    assert (error.status, error.detail, error.fields, error.__cause__) == (503, "no", ((b"retry-after", told),), cause)
    assert (error.where, error.cause) == ("PostgreSQL", "busy")


def test_late_is_504() -> None:
    cause = OSError()
    error = late(cause)
    assert (error.status, error.cause, error.__cause__) == (504, "timeout", cause)
