"""What is known of a statement by its text. Where the text is hard to judge, the session is supposed to remember it."""

import pytest

from clerestory.handlers.backends.postgres.statement import MAX_KNOWN, MAX_LENGTH, Mark, Statements, mark_of

CLEAN = [
    "SELECT 1",
    "SELECT id, subject, sender FROM emails WHERE id > $1 ORDER BY id LIMIT $2",
    "  select count(*), coalesce(max(id), 0) from emails where (a or b) and id in (1, 2)",
    "SELECT * FROM emails FOR UPDATE",
    "SELECT * FROM emails FOR NO KEY UPDATE",
    "SELECT 'INSERT; set_config(' || $1, \"set_config\" FROM t",
    "SELECT 'it''s (f)'",
    "(SELECT 1) UNION ALL (SELECT 2)",
    "SELECT(1)",
    "VALUES (1, 2), (3, 4)",
    "TABLE emails",
    "WITH some AS (SELECT 1) SELECT * FROM some",
    "SELECT current_setting('app.user'), now(), pg_sleep(1)",
    "SELECT set_config('app.user', $1, true)",
    "select set_config( 'app.user' , 'ada'::text , TRUE )",
    "SELECT pg_advisory_xact_lock(1)",
    "SELECT sum(n) FILTER (WHERE n > 1) OVER (PARTITION BY m) FROM t",
    "SELECT CAST(n AS numeric(10, 2)), x::varchar(3) FROM t",
    "BEGIN",
    "begin isolation level serializable",
    "START TRANSACTION",
    "COMMIT",
    "COMMIT;",
    "ROLLBACK TO SAVEPOINT a",
    "SAVEPOINT a",
    "RELEASE a",
    "SET LOCAL app.user = 'ada'",
    "SET TRANSACTION READ ONLY",
    "SET CONSTRAINTS ALL DEFERRED",
    "LOCK TABLE emails",
    "SHOW search_path",
    "NOTIFY news",
]

SOILING = [
    "SET search_path = evil",
    "SET SESSION AUTHORIZATION ada",
    "SET ROLE ada",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "RESET ALL",
    "LISTEN news",
    "CREATE TEMP TABLE t (n integer)",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    "INSERT INTO t VALUES (1)",
    "UPDATE t SET n = 1",
    "DELETE FROM t",
    "WITH gone AS (DELETE FROM t RETURNING n) SELECT * FROM gone",
    "SELECT 1 INTO TEMP t",
    "EXPLAIN ANALYZE SELECT 1",
    "SELECT set_config('app.user', 'ada', false)",
    "SELECT set_config('app.user', 'ada', $1)",
    "SELECT set_config('a.b', 'c', true), set_config('a.b', 'c', false)",
    "SELECT set_config('a.b', set_config('a.c', 'd', false), true)",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_try_advisory_lock(1)",
    "SELECT pg_catalog.set_config('a.b', 'c', false)",
    "SELECT pg_catalog . set_config ('a.b', 'c', false)",
    "SELECT \"set_config\"('a.b', 'c', false)",
    "SELECT mine.count(1)",
    "SELECT mine(1)",
    "SELECT _mine(1)",
    "SELECT * FROM mine(1)",
    "SELECT (SELECT (mine(1)))",
    "SELECT nextval('s')",
    "SELECT \N{EURO SIGN}(1)",
    "SELECT a\N{NO-BREAK SPACE}count(1)",
    "SELECT a\N{EURO SIGN}(1)",
    "SELECT $\N{EURO SIGN}$'$\N{EURO SIGN}$, set_config('a.b', 'c', false), $a$'$a$",
    "SELECT E'\\'', set_config('a.b', 'c', false), E'\\''",
    "SELECT 1 -- '\n, set_config('a.b', 'c', false) --'",
    "SELECT /* ' */ set_config('a.b', 'c', false) /* ' */",
    "SELECT $a$'$a$, set_config('a.b', 'c', false), $a$'$a$",
    "SELECT $$'$$, set_config('a.b', 'c', false), $$'$$",
    "SELECT U&'!0027' UESCAPE '!', mine(1)",
    "SELECT 1" + " " * MAX_LENGTH,
]

PREPARING = [
    "PREPARE p AS SELECT 1",
    "prepare p as select 1",
    "EXECUTE p",
    "DEALLOCATE ALL",
    "DISCARD ALL",
    "DO $$ BEGIN EXECUTE 'PREPARE p AS SELECT 1'; END $$",
    "CALL something()",
    "/* a comment */ PREPARE p AS SELECT 1",
    "-- a comment\nPREPARE p AS SELECT 1",
    "",
    ";",
]


@pytest.mark.parametrize("statement", CLEAN)
def test_a_statement_that_is_known_to_leave_nothing_behind_leaves_no_mark(statement: str) -> None:
    """The session is given on as it is: reading costs no reset."""
    assert mark_of(statement.encode()) is Mark.NOTHING


@pytest.mark.parametrize("statement", SOILING)
def test_what_may_leave_something_behind_leaves_a_mark(statement: str) -> None:
    """Whatever the text hides, nothing that changes the session passes for a query that does not."""
    assert mark_of(statement.encode()) is Mark.SESSION


@pytest.mark.parametrize("statement", PREPARING)
def test_what_may_prepare_statements_or_drop_ours_is_told_apart(statement: str) -> None:
    """After these our own prepared statements are gone too."""
    assert mark_of(statement.encode()) is Mark.STATEMENTS


@pytest.mark.parametrize(
    ("statement", "mark"),
    [
        ("INSERT INTO t VALUES (1)", Mark.NOTHING),
        ("INSERT INTO t (a, b) VALUES (1, mine($1))", Mark.NOTHING),
        ("WITH some AS (INSERT INTO t (a) VALUES (1) RETURNING a) SELECT a FROM some", Mark.NOTHING),
        ("SELECT mine(1)", Mark.NOTHING),
        ("SELECT MINE(1) FROM t FOR UPDATE", Mark.NOTHING),
        ("SELECT yours(1)", Mark.SESSION),
        ("INSERT INTO t (a) VALUES (yours(1))", Mark.SESSION),
        ("SELECT 1 INTO TEMP t", Mark.SESSION),
        ("DELETE FROM t", Mark.SESSION),
        ("WITH gone AS (DELETE FROM t RETURNING n) INSERT INTO t VALUES (1)", Mark.SESSION),
        ("UPDATE t SET n = 1", Mark.SESSION),
    ],
)
def test_what_a_database_calls_harmless_leaves_no_mark_and_nothing_else_does(statement: str, mark: Mark) -> None:
    """An application knows its own functions, and whether it has triggers that change the session."""
    assert mark_of(statement.encode(), frozenset({"insert", "mine"})) is mark


def test_a_text_that_is_no_utf8_is_judged_all_the_same() -> None:
    """A statement is bytes; those that no text can be are no reason to fail."""
    assert mark_of(b"SELECT \xff(1)") is not Mark.NOTHING


def key(number: int) -> tuple[bytes, tuple[int, ...]]:
    return b"SELECT %d" % number, ()


def test_uses_are_counted() -> None:
    """Each use adds one, also those of a statement with other types of parameters for itself."""
    statements = Statements()
    assert [statements.count(key(1)).uses for _ in range(3)] == [1, 2, 3]
    assert statements.count((key(1)[0], (23,))).uses == 1


def test_when_there_are_too_many_statements_the_one_not_used_for_longest_is_forgotten() -> None:
    """The last place is never taken for good: a new statement is counted however many there have been."""
    statements = Statements()
    for number in range(MAX_KNOWN):
        statements.count(key(number))
    statements.count(key(0))
    assert len(statements) == MAX_KNOWN
    statements.count(key(MAX_KNOWN))
    assert len(statements) == MAX_KNOWN
    assert statements.count(key(0)).uses == 3
    assert statements.count(key(1)).uses == 1
    assert [statements.count(key(MAX_KNOWN)).uses for _ in range(3)] == [2, 3, 4]


def test_a_statement_that_is_too_long_is_not_kept() -> None:
    """What is remembered is bounded in bytes too: one of the largest length is kept, and one byte more is not."""
    statements = Statements()
    largest = b"SELECT 1".ljust(MAX_LENGTH)
    assert [statements.count((largest, ())).uses for _ in range(2)] == [1, 2]
    assert [statements.count((largest + b" ", ())).uses for _ in range(2)] == [0, 0]
    assert len(statements) == 1


def test_a_database_may_suppose_the_worst_of_every_statement() -> None:
    """With `reset_always` every use leaves a mark."""
    statements = Statements(Mark.SESSION)
    assert statements.count(key(1)).mark is Mark.SESSION
    assert statements.count((b"PREPARE p AS SELECT 1", ())).mark is Mark.STATEMENTS
