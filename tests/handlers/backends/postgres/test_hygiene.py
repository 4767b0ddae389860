"""What is sent to make a session forget, and what may be kept."""

import pytest

from clerestory.handlers.backends.postgres.database import Database
from clerestory.handlers.backends.postgres.hygiene import KINDS, Hygiene
from clerestory.handlers.backends.postgres.statement import Mark


def test_everything_is_forgotten_by_default_and_our_prepared_statements_stay_where_they_may() -> None:
    """DISCARD ALL would drop them, so it is sent only where statements may have been prepared by SQL."""
    hygiene = Hygiene()
    sent = hygiene.statement(Mark.SESSION).split(b"; ")
    assert sorted(sent) == sorted(statement for name, statement in KINDS.items() if name != "statements")
    assert sent[0] == KINDS["role"], "with the rights of another role the rest might be refused"
    assert hygiene.statement(Mark.STATEMENTS) == b"DISCARD ALL"
    assert hygiene.statement(Mark.NOTHING) == b""


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_database_keeps_is_not_undone(kind: str) -> None:
    """A session keeps what it is told to keep, and nothing else."""
    hygiene = Hygiene({kind})
    for mark in (Mark.SESSION, Mark.STATEMENTS):
        assert KINDS[kind] not in hygiene.statement(mark)
        assert hygiene.statement(mark).count(b"; ") >= len(KINDS) - 3


def test_a_database_that_keeps_everything_sends_nothing() -> None:
    """Then no session is ever reset."""
    hygiene = Hygiene(KINDS)
    assert (hygiene.statement(Mark.SESSION), hygiene.statement(Mark.STATEMENTS)) == (b"", b"")


def test_what_no_session_remembers_is_refused_by_name() -> None:
    """A misspelt kind must not silently be forgotten."""
    with pytest.raises(ValueError, match="'lock' is not something that a session remembers: use one of role, settings"):
        Database("postgresql:///x", kept={"lock"})
