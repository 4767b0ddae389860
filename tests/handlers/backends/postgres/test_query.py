"""A query by itself: its parameters, its result, and what it says of whom it waits for. No server here."""

from typing import Any, cast

import psycopg
import pytest
from psycopg import pq
from psycopg.adapt import Transformer

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.operations import Operation
from clerestory.handlers.backends.postgres.query import MAX_PARAMETERS, Query, committed, count_of, rows_of


class Pool:
    """What a query needs of one."""

    def __init__(self) -> None:
        self.transformer = Transformer()
        self.did: list[tuple[str, Any]] = []

    def ask(self, query: Query[Any], loop: object) -> None:
        self.did.append(("ask", query))

    def leave(self) -> None:
        self.did.append(("leave", None))

    def describe(self) -> str:
        return "postgres"


class Executor:
    loop: Any = None

    def __init__(self) -> None:
        self.ends: list[tuple[object, BaseException | None]] = []

    def finished(self, operation: Operation, result: object = None, error: BaseException | None = None) -> None:
        self.ends.append((result, error))


def query(statement: str = "SELECT 1", parameters: tuple[Any, ...] = (), take: Any = rows_of) -> Query[Any]:
    return Query(cast("Any", Pool()), statement, parameters, take)


def test_parameters_are_typed_by_the_adapters() -> None:
    made = query("SELECT $1, $2, $3", (1, "é", None))
    assert made.statement == b"SELECT $1, $2, $3"
    assert made.parameters is not None
    assert bytes(made.parameters[1]) == "é".encode()
    assert made.parameters[2] is None
    assert len(made.types) == 3
    assert made.key == (made.statement, made.types)


def test_without_parameters_there_are_none() -> None:
    made = query()
    assert (made.parameters, made.types, made.formats) == (None, (), None)


def test_what_can_not_be_adapted_is_raised_where_it_stands() -> None:
    with pytest.raises(psycopg.ProgrammingError, match="cannot adapt type 'object'"):
        query("SELECT $1", (object(),))
    with pytest.raises(ValueError, match="there is a NUL in the statement"):
        query("SELECT '\0'")
    with pytest.raises(UnicodeEncodeError):
        query("SELECT '\ud800'")


def test_as_many_parameters_as_the_protocol_counts_pass_and_one_more_is_refused() -> None:
    assert len(query("x", (None,) * MAX_PARAMETERS).types) == MAX_PARAMETERS
    with pytest.raises(ValueError, match="there are 65536 parameters; there may be 65535"):
        query("x", (None,) * (MAX_PARAMETERS + 1))


@pytest.mark.parametrize(
    ("tag", "count"), [(b"INSERT 0 3", 3), (b"UPDATE 0", 0), (b"SELECT 7", 7), (b"CREATE TABLE", 0), (b"", 0)]
)
def test_the_count_is_the_last_word_of_what_the_server_says(tag: bytes, count: int) -> None:
    made = query()
    made.tag = tag
    assert count_of(made) == count


def test_a_commit_that_was_none_is_told() -> None:
    made = query()
    made.tag = b"COMMIT"
    committed(made)
    made.tag = b"ROLLBACK"
    with pytest.raises(HTTPError) as caught:
        committed(made)
    assert caught.value.status == 503


def test_it_asks_the_pool_and_is_told_its_end_once() -> None:
    made, executor = query(), Executor()
    made.start(executor)
    assert cast("Pool", made.pool).did == [("ask", made)]
    assert made.describe() == "postgres"
    made.rows = [(1,)]
    made.deliver()
    made.deliver()
    assert executor.ends == [([(1,)], None)]


def test_given_up_it_is_withdrawn_and_says_nothing_more() -> None:
    made, executor = query(), Executor()
    made.start(executor)
    made.slot = cast("Any", made.pool)
    made.cancel()
    made.fail(ValueError())
    made.deliver()
    assert cast("Pool", made.pool).did == [("ask", made), ("leave", None)]
    assert executor.ends == []


def test_the_first_error_is_the_one_that_is_told() -> None:
    made, executor = query(), Executor()
    made.start(executor)
    first = ValueError("first")
    made.fail(first)
    made.fail(ValueError("second"))
    made.deliver()
    assert executor.ends == [(None, first)]


def test_a_result_that_can_not_be_taken_is_an_error_of_whoever_asked() -> None:
    made, executor = query(take=committed), Executor()
    made.start(executor)
    made.deliver()
    [(result, error)] = executor.ends
    assert result is None
    assert isinstance(error, HTTPError)


def test_a_value_that_python_can_not_hold_is_an_error_and_not_a_crash() -> None:
    class Result:
        status = pq.ExecStatus.TUPLES_OK
        ntuples = 1
        command_status = b"SELECT 1"

    class Refusing:
        def set_pgresult(self, result: object) -> None:
            pass

        def load_rows(self, *arguments: object) -> None:
            raise psycopg.DataError("year is out of range")

    made = query()
    made.receive(cast("Any", Result()), cast("Any", Refusing()))
    assert isinstance(made.error, psycopg.DataError)
