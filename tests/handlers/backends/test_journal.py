"""The journal: what a loop was given, else nothing."""

from typing import Any

from clerestory.handlers.backends.journal import JOURNAL, journal_of
from tests.handlers.running import FakeLoop


def test_what_is_told_goes_to_what_the_loop_was_given_and_else_nowhere() -> None:
    loop: Any = FakeLoop()
    told: list[tuple[str, dict[str, object]]] = []
    journal_of(loop).warning("a", why="nobody")
    journal_of(loop).info("b")

    class Log:
        def info(self, event: str, **fields: object) -> None:
            told.append((event, fields))

        warning = info

    loop.registry[JOURNAL] = Log()
    journal_of(loop).warning("c", why="somebody")
    assert told == [("c", {"why": "somebody"})]
